package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/isthmus-mesh/isthmus/agent/capture"
	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// The user Envoy runs as: this one if there is one, else the number that Istio uses.
const (
	envoyUserName   = "isthmus-envoy"
	envoyUserNumber = 1337
)

// captureMode is how traffic gets to Envoy.
type captureMode struct {
	redirect bool
	// marked tells that the agent's own connections carry a mark.
	marked bool
	// ipv6 tells that Envoy takes IPv6 connections.
	ipv6 bool
}

// chooseCapture decides for redirection where it is possible, unless told otherwise.
func (a *agent) chooseCapture(ctx context.Context) (captureMode, error) {
	role := a.holder.now.Load().Role
	wish := a.settings.Capture
	explicit := len(a.settings.Upstreams) > 0 || a.settings.HTTPProxy != ""
	if role == RoleGateway || wish == CaptureExplicit || (wish != CaptureRedirect && explicit) {
		return captureMode{}, nil
	}
	err := capture.Available(ctx)
	if err != nil && wish == CaptureRedirect {
		return captureMode{}, problem.CaptureFailed.Because("%v", err)
	}
	return captureMode{redirect: err == nil, marked: err == nil}, nil
}

func (m captureMode) proto() machinepb.Capture {
	if m.redirect {
		return machinepb.Capture_REDIRECT
	}
	return machinepb.Capture_EXPLICIT
}

func (m captureMode) String() string {
	if m.redirect {
		return "nftables redirects the application's connections"
	}
	return "nothing is redirected; Envoy listens on addresses of its own"
}

// mark is how the agent's sockets are marked as its own; nil if they are not.
func (m captureMode) mark() func(string, string, syscall.RawConn) error {
	if m.marked {
		return capture.Mark
	}
	return nil
}

// Pauses of the watch over our rules.
const (
	captureRetry = 5 * time.Second
	captureLook  = 5 * time.Second
)

// holdCapture loads the rules and sees to it that they stay: other programs replace all of nftables
// now and then. A machine that was a member before is captured at once, so that nobody gets past
// Envoy while it starts; a new one when its Envoy serves, so that its traffic never stops.
func (a *agent) holdCapture(ctx context.Context, member bool) error {
	if !a.capture.redirect {
		a.health.setCapture(true, "")
		return nil
	}
	for loaded := false; ; {
		if loaded = loaded && capture.Loaded(ctx); !loaded && (member || a.health.envoyReady()) {
			loaded = a.captureTraffic(ctx)
		}
		pause := captureLook
		if !loaded {
			pause = captureRetry
		}
		if !member && !a.health.envoyReady() {
			pause = readyLook
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// readyLook is how often a new machine looks whether Envoy is ready.
const readyLook = 20 * time.Millisecond

// captureTraffic loads the rules. It returns false if that failed, or if the agent is ending.
func (a *agent) captureTraffic(ctx context.Context) bool {
	rules, err := a.rules()
	if err == nil {
		err = rules.Load(ctx)
	}
	if err != nil {
		a.config.Log.Error("traffic is not captured", "err", err)
		a.board.Set("capture", problem.CaptureFailed, err.Error())
		a.health.setCapture(false, "traffic is not captured")
		return false
	}
	a.config.Log.Info("traffic is captured", "ports", rules.Ports)
	a.board.Clear("capture")
	a.health.setCapture(true, "")
	return true
}

func (a *agent) rules() (capture.Rules, error) {
	r := capture.Rules{IPv6: a.capture.ipv6}
	for _, p := range a.settings.Ports {
		r.Ports = append(r.Ports, p.Port)
	}
	for _, name := range a.settings.AppUsers {
		id, err := lookupUser(name)
		if err != nil {
			return r, err
		}
		r.Users = append(r.Users, id)
	}
	for _, edge := range a.link.Edges() {
		if port, err := portOf(edge); err == nil {
			r.Except = append(r.Except, port)
		}
	}
	if a.names != nil {
		if port, err := portOf(a.settings.dnsAddress(true)); err == nil {
			r.DNS = port
		}
	}
	var err error
	r.Envoy, err = a.envoyUser()
	return r, err
}

func portOf(address string) (int, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}

// envoyUser is the number of the user that Envoy runs as.
func (a *agent) envoyUser() (int, error) {
	if a.settings.EnvoyUser != "" {
		return lookupUser(a.settings.EnvoyUser)
	}
	if os.Getuid() != 0 {
		return os.Getuid(), nil
	}
	if id, err := lookupUser(envoyUserName); err == nil {
		return id, nil
	}
	return envoyUserNumber, nil
}

func lookupUser(name string) (int, error) {
	if id, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(id), nil
	}
	found, err := user.Lookup(name)
	if err != nil {
		return 0, invalid("user %q: %v", name, err)
	}
	return strconv.Atoi(found.Uid)
}

// addresses are those at which others reach the machine: the user's, or the one that leads to an edge.
func (a *agent) addresses(edges []string) ([]string, error) {
	if len(a.settings.Addresses) > 0 {
		return a.settings.Addresses, nil
	}
	var failed error
	for _, edge := range edges {
		conn, err := net.Dial("udp", edge) // sends nothing; asks the kernel for the way
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		defer conn.Close()
		return []string{conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().String()}, nil
	}
	return nil, fmt.Errorf("no way to an edge, so the machine's address is unknown; name it with --address: %w", failed)
}

func hasIPv6(addresses []string) bool {
	return slices.ContainsFunc(addresses, func(text string) bool {
		addr, err := netip.ParseAddr(text)
		return err == nil && addr.Is6()
	})
}

package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"
)

// prepare finds out whether a demo can run here, before anything is started. Each refusal is one
// sentence that says what to do.
func (d *demo) prepare(context.Context) error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("the demo runs on Linux only, because each Envoy needs a loopback address of its own; this is %s", runtime.GOOS)
	}
	for _, program := range []string{d.Isthmus, d.Agent, d.Shop} {
		if _, err := os.Stat(program); err != nil {
			return fmt.Errorf("%s is missing: run make build first", program)
		}
	}
	if err := d.takeFolder(); err != nil {
		return err
	}
	if err := errors.Join(endLeftovers(d.Data), endEnvoys(d.Data)); err != nil {
		return err
	}
	if err := d.freePorts(); err != nil {
		return err
	}
	return d.furnish()
}

// takeFolder makes this the only demo in its folder; the lock goes with the process. A folder with
// something in it that is not a demo's is refused.
func (d *demo) takeFolder() error {
	if err := os.MkdirAll(d.Data, 0o711); err != nil { // Envoys of a demo that root runs are another user's
		return fmt.Errorf("the demo cannot write to %s: choose another folder with --data (%w)", d.Data, err)
	}
	inside, err := os.ReadDir(d.Data)
	if err != nil {
		return err
	}
	if _, err := os.Stat(d.path("lock")); err != nil && len(inside) > 0 {
		return fmt.Errorf("%s holds something else than a demo: choose another folder with --data", d.Data)
	}
	if d.lock, err = os.OpenFile(d.path("lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return fmt.Errorf("the demo cannot write to %s: choose another folder with --data (%w)", d.Data, err)
	}
	if err := syscall.Flock(int(d.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("another demo runs in %s: stop it, or give this one its own --data, --network, --port-base and --ingress-port", d.Data)
	}
	return nil
}

// furnish makes the folders. What a demo left behind that never came up, or elsewhere, is thrown away:
// tokens may be half used, and addresses are in certificates.
func (d *demo) furnish() error {
	if !d.joined() {
		for _, part := range []string{"hub", "edge", "agents"} {
			if err := os.RemoveAll(d.path(part)); err != nil {
				return err
			}
		}
	}
	for _, part := range []string{"logs", "run"} {
		if err := os.MkdirAll(d.path(part), 0o700); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(d.path("agents"), 0o711); err != nil {
		return err
	}
	return nil
}

// joined tells whether an earlier demo in this folder came up at the same addresses, so that edge and
// agents have their identities, know where to dial, and need no tokens.
func (d *demo) joined() bool {
	text, err := os.ReadFile(d.path("joined"))
	return err == nil && string(text) == d.whereabouts()
}

func (d *demo) noteJoined() error {
	return os.WriteFile(d.path("joined"), []byte(d.whereabouts()), 0o600)
}

func (d *demo) whereabouts() string { return fmt.Sprintf("%s %s.0\n", d.hubAPI(), d.Network) }

// freePorts returns an error for the first address of the demo that somebody else listens on.
func (d *demo) freePorts() error {
	for _, a := range d.addresses() {
		listener, err := net.Listen("tcp", a.address)
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("%s, which the demo needs for %s, is taken: stop the program that uses it, or choose another with %s", a.address, a.purpose, a.flag)
		}
		if err != nil {
			return fmt.Errorf("the demo cannot listen on %s for %s: choose another with %s (%w)", a.address, a.purpose, a.flag, err)
		}
		if err := listener.Close(); err != nil {
			return err
		}
	}
	return nil
}

// address is where a part of the demo will listen, and the flag that moves it.
type address struct{ address, purpose, flag string }

func (d *demo) addresses() []address {
	all := []address{
		{fmt.Sprintf("0.0.0.0:%d", d.IngressPort), "the ingress gateway", "--ingress-port"},
		{d.hubAPI(), "the hub's API", "--port-base"},
		{d.hubFeed(), "the hub's feed", "--port-base"},
		{d.edgeAddress(), "the edge", "--port-base"},
	}
	for _, r := range cast {
		all = append(all,
			address{d.appAddress(r), r.name(), "--port-base"},
			address{fmt.Sprintf("%s:%d", d.proxyIP(r), r.port), "the Envoy of " + r.name(), "--network"})
	}
	return all
}

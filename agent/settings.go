package agent

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/isthmus-mesh/isthmus/agent/health"
	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// settingsVersion is the version of agent.json that this agent writes. It reads this one only; a later
// agent reads all before.
const settingsVersion = 1

// Ways to capture traffic.
const (
	CaptureAuto     = "auto"
	CaptureRedirect = "redirect"
	CaptureExplicit = "explicit"
)

// Settings are what the user asked for. The zero value of every field is its default.
type Settings struct {
	Version int `json:"version"`
	// Host is the machine's name; empty means what the system says.
	Host string `json:"host,omitempty"`
	// Ports the workload serves.
	Ports []Port `json:"ports,omitempty"`
	// WorkloadVersion is the version of the application, for instance "v2".
	WorkloadVersion string            `json:"workloadVersion,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	// Addresses at which others reach the machine; empty means the one that leads to the edge.
	Addresses []string `json:"addresses,omitempty"`
	// Capture is auto, redirect or explicit; empty means auto.
	Capture string `json:"capture,omitempty"`
	// AppUsers are the users, by name or number, whose connections are captured.
	AppUsers  []string   `json:"appUsers,omitempty"`
	HTTPProxy string     `json:"httpProxy,omitempty"`
	Upstreams []Upstream `json:"upstreams,omitempty"`
	// Check is how the application is asked how it is; see [health.Parse].
	Check string `json:"check,omitempty"`
	// Envoy is the path of the program.
	Envoy string `json:"envoy,omitempty"`
	// EnvoyUser is the user, by name or number, that root runs Envoy as.
	EnvoyUser string `json:"envoyUser,omitempty"`
	// DNS is the address on which names are answered, or "off"; empty means 127.0.0.1:15053 with
	// capture by redirection, and off without.
	DNS string `json:"dns,omitempty"`
	// Resolvers are "address:port" of those who know other names; empty means the machine's own.
	Resolvers []string `json:"resolvers,omitempty"`
	// LeaveOnStop makes the workload leave whenever the agent is stopped.
	LeaveOnStop bool `json:"leaveOnStop,omitempty"`
}

// Port is one the workload serves.
type Port struct {
	Port     uint32 `json:"port"`
	Protocol string `json:"protocol"`
	Target   uint32 `json:"target,omitempty"`
}

// Upstream makes a service reachable at an address of this machine.
type Upstream struct {
	Host   string `json:"host"`
	Port   uint32 `json:"port"`
	Listen string `json:"listen"`
}

var protocols = []string{"http", "http2", "grpc", "tcp", "tls"}

// ParsePort reads "NUMBER=PROTOCOL" or "NUMBER=PROTOCOL:TARGET".
func ParsePort(text string) (Port, error) {
	number, rest, ok := strings.Cut(text, "=")
	protocol, target, hasTarget := strings.Cut(rest, ":")
	p, err := parsePortNumber(number)
	if !ok || err != nil || !slices.Contains(protocols, protocol) {
		return Port{}, invalid("port %q: want NUMBER=PROTOCOL or NUMBER=PROTOCOL:TARGET, PROTOCOL being one of %s", text, strings.Join(protocols, ", "))
	}
	out := Port{Port: p, Protocol: protocol}
	if hasTarget {
		if out.Target, err = parsePortNumber(target); err != nil {
			return Port{}, invalid("port %q: the target is no port", text)
		}
	}
	return out, nil
}

func parsePortNumber(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err == nil && n == 0 {
		err = errors.New("port 0")
	}
	return uint32(n), err
}

// ParseUpstream reads "HOST:PORT=ADDRESS:PORT".
func ParseUpstream(text string) (Upstream, error) {
	service, listen, _ := strings.Cut(text, "=")
	host, number, _ := strings.Cut(service, ":")
	port, err := parsePortNumber(number)
	if _, bad := netip.ParseAddrPort(listen); bad != nil || err != nil || host == "" {
		return Upstream{}, invalid("upstream %q: want HOST:PORT=ADDRESS:PORT, for instance ledger:9100=127.0.0.1:9100", text)
	}
	return Upstream{Host: host, Port: port, Listen: listen}, nil
}

func invalid(format string, args ...any) error {
	return problem.SettingInvalid.Because(format, args...)
}

// Check returns what is wrong with the settings. The edge checks what it is told, and says so.
func (s *Settings) check() error {
	switch {
	case s.Version != settingsVersion:
		return invalid("agent.json has version %d; this agent reads version %d", s.Version, settingsVersion)
	case !slices.Contains([]string{"", CaptureAuto, CaptureRedirect, CaptureExplicit}, s.Capture):
		return invalid("capture %q: want %s, %s or %s", s.Capture, CaptureAuto, CaptureRedirect, CaptureExplicit)
	case s.Capture == CaptureRedirect && (len(s.Upstreams) > 0 || s.HTTPProxy != ""):
		return invalid("upstreams and the HTTP proxy are for explicit capture: redirected applications just call names")
	}
	for _, address := range s.Addresses {
		if a, err := netip.ParseAddr(address); err != nil || a.IsUnspecified() {
			return invalid("address %q is none at which others reach this machine", address)
		}
	}
	for _, resolver := range s.Resolvers {
		if _, err := netip.ParseAddrPort(resolver); err != nil {
			return invalid("resolver %q: want ADDRESS:PORT", resolver)
		}
	}
	if _, err := s.healthCheck(); err != nil {
		return invalid("%v", err)
	}
	return nil
}

// healthCheck is the check of the application; nil when there is nothing to check.
func (s *Settings) healthCheck() (health.Check, error) {
	if len(s.Ports) == 0 && (s.Check == "" || s.Check == "tcp" || s.Check == "grpc") {
		return nil, nil
	}
	return health.Parse(s.checked())
}

// checked is the text of the check and the address that it means if it names none.
func (s *Settings) checked() (text, first string) {
	if len(s.Ports) > 0 {
		first = fmt.Sprintf("127.0.0.1:%d", s.Ports[0].target())
	}
	return cmp.Or(s.Check, "tcp"), first
}

func (p Port) target() uint32 {
	if p.Target != 0 {
		return p.Target
	}
	return p.Port
}

// loadSettings reads agent.json. Unknown fields are refused: they may matter.
func loadSettings(path string) (Settings, error) {
	var s Settings
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Settings{Version: settingsVersion}, nil
	}
	if err != nil {
		return s, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		return s, invalid("%s: %v", path, err)
	}
	return s, s.check()
}

// registration is the workload as the edge is told.
func (s *Settings) registration(instance, agentVersion, envoyVersion string, addresses []string, capture machinepb.Capture) *machinepb.Workload {
	w := &machinepb.Workload{
		Instance: instance, Version: s.WorkloadVersion, Host: s.Host, Addresses: addresses, Labels: s.Labels,
		Capture: capture, HttpProxy: s.HTTPProxy, AgentVersion: agentVersion, EnvoyVersion: envoyVersion,
	}
	for _, p := range s.Ports {
		w.Ports = append(w.Ports, &machinepb.Port{Port: p.Port, Protocol: p.Protocol, Target: p.Target})
	}
	for _, u := range s.Upstreams {
		w.Upstreams = append(w.Upstreams, &machinepb.Upstream{Host: u.Host, Port: u.Port, Listen: u.Listen})
	}
	return w
}

// LeavesOnStop tells whether the workload of a data directory wants to leave when its agent is stopped.
func LeavesOnStop(data string) bool {
	s, err := loadSettings(folder(data).settings())
	return err == nil && s.LeaveOnStop
}

package demo

import (
	"fmt"
	"path/filepath"
)

// role is one workload of the shop: a service at a version, with the agent and Envoy beside it.
type role struct {
	service, version string
	// port at which others call it, and its protocol.
	port     int
	protocol string
	// calls are the HTTP services it calls by name, through its Envoy's HTTP proxy.
	calls []string
	// dials are the services it reaches otherwise: a listener of its Envoy stands for each.
	dials []dial
}

// dial is a service reached at a listener of the caller's Envoy, on the port of the service.
type dial struct {
	service string
	port    int
	// named is set when the application must still say the service's name, as gRPC does: it is told
	// both, the name and where to connect.
	named bool
}

// cast is everybody who plays. A role's place in it makes its addresses.
var cast = []role{
	{service: "web", version: "v1", port: 9080, protocol: "http",
		calls: []string{"details", "reviews"}, dials: []dial{{service: "rates", port: 9090, named: true}, {service: "ledger", port: 9100}}},
	{service: "details", version: "v1", port: 9080, protocol: "http"},
	{service: "reviews", version: "v1", port: 9080, protocol: "http", calls: []string{"ratings"}},
	{service: "reviews", version: "v2", port: 9080, protocol: "http", calls: []string{"ratings"}},
	{service: "reviews", version: "v3", port: 9080, protocol: "http", calls: []string{"ratings"}},
	{service: "ratings", version: "v1", port: 9080, protocol: "http"},
	{service: "rates", version: "v1", port: 9090, protocol: "grpc"},
	{service: "ledger", version: "v1", port: 9100, protocol: "tcp"},
}

// Names of what the demo makes at the hub.
const (
	workspace = "shop"
	zone      = "demo"
	gateway   = "public"
)

// proxyPort is the port of each Envoy's HTTP proxy listener.
const proxyPort = 15080

func (r role) name() string { return r.service + "-" + r.version }

// index is a role's place in the cast.
func (r role) index() int {
	for i, other := range cast {
		if other.name() == r.name() {
			return i
		}
	}
	panic(r.name() + " is not in the cast")
}

// Where everything listens. The first ports from PortBase are the hub's and the edge's, then come
// the applications; each Envoy has a loopback address of its own.

func (d *demo) hubAPI() string      { return d.loopback(0) }
func (d *demo) hubFeed() string     { return d.loopback(1) }
func (d *demo) edgeAddress() string { return d.loopback(2) }
func (d *demo) ingress() string     { return fmt.Sprintf("127.0.0.1:%d", d.IngressPort) }

func (d *demo) appPort(r role) int       { return d.PortBase + 10 + r.index() }
func (d *demo) appAddress(r role) string { return d.loopback(10 + r.index()) }
func (d *demo) proxyIP(r role) string    { return fmt.Sprintf("%s.%d", d.Network, 11+r.index()) }
func (d *demo) loopback(n int) string    { return fmt.Sprintf("127.0.0.1:%d", d.PortBase+n) }

// hubProgram is the hub.
func (d *demo) hubProgram() program {
	return program{name: "hub", path: d.Isthmus, args: []string{"hub", "--data", d.path("hub"),
		"--listen", d.hubAPI(), "--feed-listen", d.hubFeed(), "--advertise", "127.0.0.1"}}
}

// edgeProgram is the edge of the only zone; token is empty when it has been admitted before.
func (d *demo) edgeProgram(token string) program {
	args := []string{"edge", "--data", d.path("edge"), "--name", "edge-1",
		"--listen", d.edgeAddress(), "--advertise", d.edgeAddress()}
	if token != "" {
		args = append(args, "--join", token)
	}
	return program{name: "edge", path: d.Isthmus, args: args}
}

// appProgram is the application of a role. It knows services by name, and its own Envoy.
func (d *demo) appProgram(r role) program {
	args := []string{r.service, "--listen", d.appAddress(r), "--version", r.version, "--host", r.name()}
	for _, service := range r.calls {
		args = append(args, "--"+service, fmt.Sprintf("http://%s:9080", service))
	}
	for _, to := range r.dials {
		if to.named {
			args = append(args, "--"+to.service, fmt.Sprintf("%s:%d", to.service, to.port), "--"+to.service+"-through", d.listener(r, to))
		} else {
			args = append(args, "--"+to.service, d.listener(r, to))
		}
	}
	proxy := fmt.Sprintf("http://%s:%d", d.proxyIP(r), proxyPort)
	return program{name: "app-" + r.name(), path: d.Shop, args: args, env: []string{"HTTP_PROXY=" + proxy, "http_proxy=", "NO_PROXY=", "no_proxy="}}
}

// listener is where r's Envoy listens for connections to another service.
func (d *demo) listener(r role, to dial) string {
	return fmt.Sprintf("%s:%d", d.proxyIP(r), to.port)
}

// agentProgram is the agent of a role; token is empty when it has joined before.
func (d *demo) agentProgram(r role, token string) program {
	if token == "" {
		return d.agent(r.name(), "run")
	}
	args := []string{"join", token, "--capture", "explicit", "--address", d.proxyIP(r), "--version", r.version, "--host", r.name(),
		"--port", fmt.Sprintf("%d=%s:%d", r.port, r.protocol, d.appPort(r)),
		"--http-proxy", fmt.Sprintf("%s:%d", d.proxyIP(r), proxyPort)}
	for _, to := range r.dials {
		args = append(args, "--upstream", fmt.Sprintf("%s:%d=%s", to.service, to.port, d.listener(r, to)))
	}
	return d.agent(r.name(), args...)
}

// gatewayProgram is the agent of the ingress gateway.
func (d *demo) gatewayProgram(token string) program {
	if token == "" {
		return d.agent("gateway", "run")
	}
	return d.agent("gateway", "gateway", token, "--address", "127.0.0.1", "--host", "gateway")
}

func (d *demo) agent(name string, args ...string) program {
	args = append(args, "--data", filepath.Join(d.path("agents"), name))
	return program{name: "agent-" + name, path: d.Agent, args: args, env: []string{"ISTHMUS_ENVOY=" + d.Envoy}}
}

func (d *demo) kubeconfig() string { return filepath.Join(d.path("hub"), "admin.kubeconfig") }

func (d *demo) path(part string) string { return filepath.Join(d.Data, part) }

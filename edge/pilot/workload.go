package pilot

// Role is what a workload's proxy is for.
type Role string

const (
	// Sidecar proxies serve one application on the same machine.
	Sidecar Role = "sidecar"
	// Gateway proxies bring requests in from outside the mesh.
	Gateway Role = "gateway"
)

// Capture is how traffic reaches the proxy.
type Capture string

const (
	// Redirect means that the kernel hands all traffic of the application to the proxy.
	Redirect Capture = "REDIRECT"
	// Explicit means that nothing is redirected: the proxy listens on addresses of its own.
	Explicit Capture = "EXPLICIT"
)

// LabelWorkload is the label that tells a workload from all others, beside those of compiler/plan; user labels override none of
// them.
const LabelWorkload = "isthmus.dev/workload"

// Workload is one machine's instance of a service, as the edge registered it. Values are never
// changed after they are handed to [Pilot.SetWorkloads].
type Workload struct {
	// Name is unique in the mesh: "SERVICE-xxxxx".
	Name string
	// Workspace and Service are the workload's identity: the SPIFFE ID of its certificate.
	Workspace, Service string
	// Version is the application's, for subsets; empty when it said none.
	Version string
	Role    Role
	// Addresses at which callers reach the proxy, IPv4 or IPv6; the first is its main one.
	Addresses []string
	Ports     []Port
	// Labels the user chose. The isthmus.dev labels are added by this package.
	Labels map[string]string
	// Healthy workloads are called; the others keep their proxy's configuration but get no requests.
	Healthy bool
	Capture Capture
	// Upstreams are listeners the application dials instead of names, with [Explicit].
	Upstreams []Upstream
	// HTTPProxy is "address:port" of an HTTP proxy listener for the application, with [Explicit]; empty means none.
	HTTPProxy string
}

// Port is one port of a workload.
type Port struct {
	// Port is the number at which callers reach the proxy.
	Port uint32
	// Protocol is http, http2, grpc, tcp or tls.
	Protocol string
	// Target is where the application listens on 127.0.0.1, with [Explicit]; 0 means Port.
	Target uint32
}

// Upstream makes Host:Port reachable at the local address Listen ("address:port").
type Upstream struct {
	Host   string
	Port   uint32
	Listen string
}

package plan

// Protocol is the application protocol of a port.
type Protocol string

// The protocols a port may speak.
const (
	HTTP  Protocol = "http"
	HTTP2 Protocol = "http2"
	GRPC  Protocol = "grpc"
	TCP   Protocol = "tcp"
	TLS   Protocol = "tls"
)

// Known says whether p is one of the protocols above.
func (p Protocol) Known() bool {
	switch p {
	case HTTP, HTTP2, GRPC, TCP, TLS:
		return true
	}
	return false
}

// IsHTTP says whether requests on such a port can be routed one by one.
func (p Protocol) IsHTTP() bool { return p == HTTP || p == HTTP2 || p == GRPC }

// Port is a port of a service.
type Port struct {
	// Number callers use.
	Number   int32
	Protocol Protocol
	// Target is the port of the workload; 0 means Number.
	Target int32
}

// Service is one service as callers see it.
type Service struct {
	Workspace, Name string
	// Aliases are further names, beside [Host].
	Aliases []string
	// Ports, sorted by number.
	Ports []Port
	// Identities are those its workloads prove; none if that is not known beforehand.
	Identities []string
	// Selector picks the workloads among those of the workspace.
	Selector map[string]string
	// External hostnames or addresses, when the service lies outside of the mesh.
	External []string
	// Visible lists the workspaces that may see it beside its own; a single "*" means all.
	Visible []string
	// Versions and Zones seen among its workloads: the subsets that exist by themselves.
	Versions, Zones []string
	// Places are the zones it lives in, sorted by zone.
	Places []Place
	// Subsets declared by objects, sorted by name.
	Subsets []Subset
	// Origins are the objects that refine it; none if it is only discovered.
	Origins []Origin
}

// Subset is a part of a service, by labels of its workloads.
type Subset struct {
	// Name, unique in the workspace: that of the object, or SERVICE-VERSION, or SERVICE-ZONE.
	Name   string
	Labels map[string]string
	// Origin is the object; zero for a subset that exists by itself.
	Origin Origin
}

// NewService is the service that exists as soon as a workload joins under its name, with nothing
// said about it.
func NewService(workspace, name string, ports []Port) *Service {
	return &Service{
		Workspace: workspace,
		Name:      name,
		Ports:     ports,
		Selector:  map[string]string{LabelService: name},
	}
}

// Host is the name every service has: NAME.WORKSPACE.mesh.
func (s *Service) Host() string { return Host(s.Workspace, s.Name) }

// Place finds the service in a zone; nil if it does not live there.
func (s *Service) Place(zone string) *Place {
	for i := range s.Places {
		if s.Places[i].Zone == zone {
			return &s.Places[i]
		}
	}
	return nil
}

// Port finds a port by number.
func (s *Service) Port(number int32) (Port, bool) {
	for _, port := range s.Ports {
		if port.Number == number {
			return port, true
		}
	}
	return Port{}, false
}

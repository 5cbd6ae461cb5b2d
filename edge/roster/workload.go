package roster

import (
	"crypto/sha256"
	"encoding/hex"

	"google.golang.org/protobuf/proto"

	"github.com/isthmus-mesh/isthmus/edge/admission"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// Workload is a registered workload at one moment; it never changes.
type Workload struct {
	// Name is unique in the mesh: "SERVICE-xxxxxxxxxx".
	Name string
	// Workspace, Service and Role come from the workload's certificate; see [admission.Caller].
	Workspace, Service, Role string
	// Registration is what its agent said.
	Registration *machinepb.Workload
	// Healthy workloads are called. Reason says in words why one is not, or what should be known of one that is.
	Healthy bool
	Reason  string
	// Connected tells whether its agent attends.
	Connected bool
}

// nameOf makes a workload's name. The instance alone is unique; the rest keeps names apart if two
// identities should ever present the same one at two edges.
func nameOf(workspace, service, instance string) string {
	sum := sha256.Sum256([]byte(workspace + "/" + service + "/" + instance))
	return service + "-" + hex.EncodeToString(sum[:5])
}

// serves tells whether two states are the same to proxies.
func (w *Workload) serves(other *Workload) bool {
	return w.Healthy == other.Healthy && w.Role == other.Role && proto.Equal(w.Registration, other.Registration)
}

// warning says what is probably not meant. What a gateway listens on is not its agent's to say.
func (w *Workload) warning() string {
	if len(w.Registration.Ports) == 0 && w.Role != admission.RoleGateway {
		return "no port is registered: nobody can call this workload; say --port NUMBER=PROTOCOL"
	}
	return ""
}

// report is the workload as the hub hears of it.
func (w *Workload) report() *feedpb.Workload {
	r := w.Registration
	report := &feedpb.Workload{
		Name: w.Name, Workspace: w.Workspace, Service: w.Service, Version: r.Version, Host: r.Host, Addresses: r.Addresses,
		Labels: r.Labels, Healthy: w.Healthy, Reason: w.Reason, Connected: w.Connected, AgentVersion: r.AgentVersion, Role: "sidecar",
	}
	if w.Role == admission.RoleGateway {
		report.Role = "gateway"
	}
	for _, p := range r.Ports {
		report.Ports = append(report.Ports, &feedpb.Port{Port: p.Port, Protocol: p.Protocol})
	}
	return report
}

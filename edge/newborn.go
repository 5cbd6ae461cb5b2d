package edge

import (
	"cmp"
	"maps"
	"slices"

	"github.com/isthmus-mesh/isthmus/compiler/istio"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/edge/admission"
	"github.com/isthmus-mesh/isthmus/edge/roster"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// newborn are the services that workloads of this zone serve. One that the hub has not made a resource
// of yet, because it is away or has just heard of it, is served as the hub would if nobody says
// anything about it. The hub's resource has the same name and so replaces it.
type newborn struct {
	services map[string]*bornService // by the name of the resource
	byMember map[string]string       // that name by workload
}

type bornService struct {
	workspace, name string
	ports           map[string][]plan.Port // by workload
	served          string                 // version that Pilot has; empty while the hub's serves or none
}

func newNewborn() newborn {
	return newborn{services: map[string]*bornService{}, byMember: map[string]string{}}
}

// note takes in changes of workloads and reports whether services or their ports changed.
func (n *newborn) note(upserts []*roster.Workload, gone []string) (changed bool) {
	for _, w := range upserts {
		changed = n.join(w) || changed
	}
	for _, name := range gone {
		changed = n.leave(name) || changed
	}
	return changed
}

func (n *newborn) join(w *roster.Workload) bool {
	if w.Role == admission.RoleGateway || len(w.Registration.Ports) == 0 {
		return n.leave(w.Name)
	}
	resource := istio.Name(istio.KindServiceEntry, w.Workspace, w.Service)
	s := n.services[resource]
	if s == nil {
		s = &bornService{workspace: w.Workspace, name: w.Service, ports: map[string][]plan.Port{}}
		n.services[resource] = s
	}
	n.byMember[w.Name] = resource
	ports := planPorts(w)
	if slices.Equal(s.ports[w.Name], ports) {
		return false
	}
	s.ports[w.Name] = ports
	return true
}

func (n *newborn) leave(workload string) bool {
	s := n.services[n.byMember[workload]]
	if s == nil {
		return false
	}
	delete(n.byMember, workload)
	delete(s.ports, workload)
	return true
}

// planPorts are the ports that callers use; where the application listens is the proxy's business.
func planPorts(w *roster.Workload) []plan.Port {
	ports := make([]plan.Port, 0, len(w.Registration.Ports))
	for _, p := range w.Registration.Ports {
		ports = append(ports, plan.Port{Number: int32(p.Port), Protocol: plan.Protocol(p.Protocol)})
	}
	return ports
}

// reconcile returns what Pilot must be given and what taken away, considering what the bundle has.
func (n *newborn) reconcile(bundle func(name string) *feedpb.Resource) (added []*feedpb.Resource, dropped []string) {
	for name, s := range n.services {
		switch {
		case bundle(name) != nil:
			s.served = ""
		case len(s.ports) > 0:
			if r := s.resource(); r.Version != s.served {
				s.served, added = r.Version, append(added, r)
			}
		case s.served != "":
			s.served, dropped = "", append(dropped, name)
		}
		if len(s.ports) == 0 {
			delete(n.services, name)
		}
	}
	return added, dropped
}

// serves tells whether a resource is one that reconcile gave.
func (n *newborn) serves(name string) bool { s := n.services[name]; return s != nil && s.served != "" }

// resource is the service with the ports of all its workloads; where two disagree about a protocol, the
// workload whose name sorts first wins.
func (s *bornService) resource() *feedpb.Resource {
	byNumber := map[int32]plan.Port{}
	for _, workload := range slices.Sorted(maps.Keys(s.ports)) {
		for _, port := range s.ports[workload] {
			if _, ok := byNumber[port.Number]; !ok {
				byNumber[port.Number] = port
			}
		}
	}
	ports := slices.SortedFunc(maps.Values(byNumber), func(a, b plan.Port) int { return cmp.Compare(a.Number, b.Number) })
	service := plan.NewService(s.workspace, s.name, ports)
	return istio.ServiceResource(service, plan.Address(service.Host(), 0).String())
}

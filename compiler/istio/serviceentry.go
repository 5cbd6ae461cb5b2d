package istio

import (
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// Service renders a service as a ServiceEntry with the virtual address. An edge uses it, with
// [plan.NewService] and [plan.Address], for a service that the hub has not seen yet.
//
// Every port has its protocol: on a port without one, Envoy sees no requests behind mutual TLS.
func Service(s *plan.Service, address string) *networking.ServiceEntry {
	entry := &networking.ServiceEntry{
		Hosts:      []string{s.Host()},
		Addresses:  []string{address},
		Location:   networking.ServiceEntry_MESH_INTERNAL,
		Resolution: networking.ServiceEntry_STATIC,
		ExportTo:   exportTo(s),
		Ports:      make([]*networking.ServicePort, 0, len(s.Ports)),
	}
	for _, port := range s.Ports {
		entry.Ports = append(entry.Ports, servicePort(port))
	}
	if len(s.External) > 0 {
		outside(entry, s)
	} else {
		entry.WorkloadSelector = &networking.WorkloadSelector{Labels: s.Selector}
		entry.SubjectAltNames = s.Identities
	}
	return entry
}

// ServiceResource is [Service] in its envelope.
func ServiceResource(s *plan.Service, address string) *feedpb.Resource {
	return lastResort(resource(KindServiceEntry, s.Workspace, s.Name, Service(s, address), s.Origins), s)
}

// AliasResource renders a further host of a service. It is an entry of its own with an address of its
// own, so that connections can be told apart; routing leads them to the service.
func AliasResource(s *plan.Service, alias, address string) *feedpb.Resource {
	entry := Service(s, address)
	entry.Hosts[0] = alias
	return resource(KindServiceEntry, s.Workspace, s.Name+"."+alias, entry, s.Origins)
}

// outside makes the entry one of endpoints that DNS finds, or of addresses.
func outside(entry *networking.ServiceEntry, s *plan.Service) {
	entry.Location = networking.ServiceEntry_MESH_EXTERNAL
	for _, host := range s.External {
		if plan.IsName(host) {
			entry.Resolution = networking.ServiceEntry_DNS
		}
		endpoint := &networking.WorkloadEntry{Address: host}
		for _, port := range s.Ports {
			if port.Target != 0 {
				if endpoint.Ports == nil {
					endpoint.Ports = make(map[string]uint32)
				}
				endpoint.Ports[portName(port)] = uint32(port.Target)
			}
		}
		entry.Endpoints = append(entry.Endpoints, endpoint)
	}
}

func servicePort(p plan.Port) *networking.ServicePort {
	return &networking.ServicePort{
		Number:     uint32(p.Number),
		Name:       portName(p),
		Protocol:   strings.ToUpper(string(p.Protocol)),
		TargetPort: uint32(p.Target),
	}
}

func portName(p plan.Port) string {
	return string(p.Protocol) + "-" + strconv.Itoa(int(p.Number))
}

// exportTo is who sees what is said about a service: "." is its own workspace.
func exportTo(s *plan.Service) []string {
	if len(s.Visible) == 1 && s.Visible[0] == plan.Any {
		return []string{"*"}
	}
	return append([]string{"."}, s.Visible...)
}

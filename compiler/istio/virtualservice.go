package istio

import (
	"cmp"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// meshGateway is Istio's name for the proxies inside of the mesh.
const meshGateway = "mesh"

// MeshRoutes renders the routing of calls of a service. In the service's own workspace it holds for
// every caller, in another one for callers of that workspace.
func MeshRoutes(h *plan.VirtualHost) *feedpb.Resource {
	s, vs := h.Service, virtualService(h)
	vs.Hosts, vs.ExportTo = meshHosts(h), exportTo(s)
	if h.Site != nil && h.Site.IsKubernetes() {
		vs.Hosts, vs.ExportTo = []string{h.Host}, []string{plan.Any}
	}
	name := s.Name
	if h.Workspace != s.Workspace {
		vs.ExportTo = []string{"."}
		name = "service-" + s.Name + "." + s.Workspace
	}
	return resource(KindVirtualService, namespaceAt(h.Site, h.Workspace), name, vs, routeOrigins(h))
}

// meshHosts are the names routed: those of the service, and server names of its TLS connections.
func meshHosts(h *plan.VirtualHost) []string {
	hosts := append([]string{h.Service.Host()}, h.Service.Aliases...)
	for _, stream := range h.Streams {
		for _, name := range stream.Names {
			if !slices.Contains(hosts, name) {
				hosts = append(hosts, name)
			}
		}
	}
	return hosts
}

// GatewayRoutes renders the routing under a hostname at a listener of a gateway.
func GatewayRoutes(h *plan.VirtualHost) *feedpb.Resource {
	vs := virtualService(h)
	vs.Hosts = []string{h.Host}
	vs.Gateways = []string{h.Workspace + "/" + gatewayName(h.Gateway, h.Listener)}
	vs.ExportTo = []string{"."}
	return resource(KindVirtualService, h.Workspace, gatewayRoutesName(h), vs, routeOrigins(h))
}

// gatewayRoutesName differs from the names of routing inside the mesh: those have no dot, or start
// with "service-".
func gatewayRoutesName(h *plan.VirtualHost) string {
	listener := gatewayName(h.Gateway, h.Listener)
	if h.Host == plan.Any {
		return "everything." + listener
	}
	if parent, wild := strings.CutPrefix(h.Host, "*."); wild {
		return "wildcard-" + listener + "." + parent
	}
	return "gateway-" + listener + "." + h.Host
}

func virtualService(h *plan.VirtualHost) *networking.VirtualService {
	vs := &networking.VirtualService{}
	for i := 0; i < len(h.Entries); {
		next := i + 1
		for next < len(h.Entries) && h.Entries[next].Rule == h.Entries[i].Rule {
			next++
		}
		vs.Http = append(vs.Http, httpRoutes(h.Entries[i:next])...)
		i = next
	}
	for _, stream := range h.Streams {
		if len(stream.Names) > 0 {
			vs.Tls = append(vs.Tls, tlsRoute(stream))
		} else {
			vs.Tcp = append(vs.Tcp, tcpRoute(stream))
		}
	}
	return vs
}

// routeOrigins are the rules that take part, in the order of objects and fields, once each.
func routeOrigins(h *plan.VirtualHost) []plan.Origin {
	var origins []plan.Origin
	add := func(o plan.Origin) {
		if o.Kind != "" && (o.Generation != 0 || o.Kind != "Service") {
			origins = append(origins, o)
		}
	}
	for _, entry := range h.Entries {
		add(entry.Rule.Origin)
		for _, from := range entry.Rule.Policies {
			add(from)
		}
	}
	for _, stream := range h.Streams {
		add(stream.Origin)
		for _, from := range stream.Policies {
			add(from)
		}
	}
	slices.SortFunc(origins, plan.Origin.Compare)
	return slices.Compact(origins)
}

func tlsRoute(stream plan.Stream) *networking.TLSRoute {
	return &networking.TLSRoute{
		Match: []*networking.TLSMatchAttributes{{SniHosts: stream.Names, Port: uint32(stream.Port)}},
		Route: streamDestinations(stream.Backends),
	}
}

func tcpRoute(stream plan.Stream) *networking.TCPRoute {
	route := &networking.TCPRoute{Route: streamDestinations(stream.Backends)}
	if stream.Port != 0 {
		route.Match = []*networking.L4MatchAttributes{{Port: uint32(stream.Port)}}
	}
	return route
}

func streamDestinations(backends []plan.Backend) []*networking.RouteDestination {
	var all []*networking.RouteDestination
	for i := range backends {
		all = append(all, &networking.RouteDestination{Destination: destination(&backends[i]), Weight: backends[i].Weight})
	}
	return all
}

// nowhere is a host that no service has: connections to it fail.
var nowhere = &networking.Destination{Host: "nowhere.isthmus.invalid", Port: &networking.PortSelector{Number: 9}}

// destination always says the port: without, a gateway would use the number of its listener.
func destination(b *plan.Backend) *networking.Destination {
	if b.Nowhere() {
		return nowhere
	}
	to := &networking.Destination{Host: cmp.Or(b.Host, b.Service.Host()), Port: &networking.PortSelector{Number: uint32(b.Port)}}
	if b.Subset != "" {
		to.Subset = subsetName(b.Subset)
	}
	return to
}

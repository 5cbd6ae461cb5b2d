package istio

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1alpha3"
	security "istio.io/api/security/v1beta1"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/validation"

	"github.com/isthmus-mesh/isthmus/api/direct"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// Direct is an object that a team wrote for Istio itself, valid by Istio's rules.
type Direct struct {
	origin plan.Origin
	spec   proto.Message
}

// directKind is how objects of a kind are read, and what Istio has to say of them.
type directKind struct {
	spec  func() proto.Message
	check validation.ValidateFunc
}

var directKinds = map[string]directKind{
	direct.VirtualService:  {func() proto.Message { return &networking.VirtualService{} }, validation.ValidateVirtualService},
	direct.DestinationRule: {func() proto.Message { return &networking.DestinationRule{} }, validation.ValidateDestinationRule},
	direct.ServiceEntry:    {func() proto.Message { return &networking.ServiceEntry{} }, validation.ValidateServiceEntry},
	direct.AuthorizationPolicy: {
		func() proto.Message { return &security.AuthorizationPolicy{} }, validation.ValidateAuthorizationPolicy,
	},
	direct.RequestAuthentication: {
		func() proto.Message { return &security.RequestAuthentication{} }, validation.ValidateRequestAuthentication,
	},
	direct.PeerAuthentication: {
		func() proto.Message { return &security.PeerAuthentication{} }, validation.ValidatePeerAuthentication,
	},
}

// ReadDirect reads and validates what a team wrote. The error is Istio's, or says which field is unknown.
func ReadDirect(from plan.Origin, spec []byte) (*Direct, error) {
	kind, is := directKinds[from.Kind]
	if !is {
		return nil, fmt.Errorf("kind %s is not taken", from.Kind)
	}
	d := &Direct{origin: from, spec: kind.spec()}
	if len(spec) > 0 {
		if err := protojson.Unmarshal(spec, d.spec); err != nil {
			return nil, err
		}
	}
	_, err := kind.check(config.Config{Meta: config.Meta{Namespace: from.Namespace, Name: from.Name}, Spec: d.spec})
	return d, err
}

// Origin is the object itself.
func (d *Direct) Origin() plan.Origin { return d.origin }

// Hosts are the names of services that the object is about, as callers use them. Empty for kinds that select
// workloads, and for those about what is outside of the mesh.
func (d *Direct) Hosts() []string {
	switch spec := d.spec.(type) {
	case *networking.VirtualService:
		return spec.Hosts
	case *networking.DestinationRule:
		return []string{spec.Host}
	}
	return nil
}

// Backends are the names that the object leads requests to, sorted, once each.
func (d *Direct) Backends() []string {
	all := map[string]bool{}
	if vs, is := d.spec.(*networking.VirtualService); is {
		for _, to := range destinations(vs) {
			all[to.Host] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// Escapes says by which field the object would reach beyond its workspace, or into what Isthmus makes; "" if by
// none.
func (d *Direct) Escapes() string {
	switch spec := d.spec.(type) {
	case *networking.VirtualService:
		return beyond(routeEscapes(spec))
	case *networking.DestinationRule:
		return beyond(exportEscapes(spec.ExportTo))
	case *networking.ServiceEntry:
		return outsideEscapes(spec)
	case *security.AuthorizationPolicy:
		if spec.Action == security.AuthorizationPolicy_CUSTOM {
			return beyond("spec.action: CUSTOM")
		}
		return beyond(targetEscapes(spec))
	case *security.RequestAuthentication:
		return cmp.Or(beyond(targetEscapes(spec)), keysEscape(spec))
	case *security.PeerAuthentication:
		return loosens(spec)
	}
	return ""
}

func beyond(field string) string {
	if field == "" {
		return ""
	}
	return field + " reaches beyond the workspace, or needs what Isthmus does not set up"
}

func routeEscapes(vs *networking.VirtualService) string {
	if slices.ContainsFunc(vs.Gateways, func(name string) bool { return name != meshGateway }) {
		return "spec.gateways"
	}
	for i, http := range vs.Http {
		if http.Delegate != nil {
			return fmt.Sprintf("spec.http[%d].delegate", i)
		}
		for j, match := range http.Match {
			if slices.ContainsFunc(match.Gateways, func(name string) bool { return name != meshGateway }) {
				return fmt.Sprintf("spec.http[%d].match[%d].gateways", i, j)
			}
		}
	}
	return exportEscapes(vs.ExportTo)
}

// exportEscapes refuses other namespaces by name: hosts that are owned may be seen by all, or by nobody else.
func exportEscapes(exportTo []string) string {
	if slices.ContainsFunc(exportTo, func(to string) bool { return to != "." && to != plan.Any }) {
		return "spec.exportTo"
	}
	return ""
}

// destinations are all places of a VirtualService that name a host to go to.
func destinations(vs *networking.VirtualService) []*networking.Destination {
	var all []*networking.Destination
	add := func(to *networking.Destination) {
		if to != nil {
			all = append(all, to)
		}
	}
	for _, http := range vs.Http {
		add(http.Mirror)
		for _, mirror := range http.Mirrors {
			add(mirror.Destination)
		}
		for _, route := range http.Route {
			add(route.Destination)
		}
	}
	for _, tls := range vs.Tls {
		for _, route := range tls.Route {
			add(route.Destination)
		}
	}
	for _, tcp := range vs.Tcp {
		for _, route := range tcp.Route {
			add(route.Destination)
		}
	}
	return all
}

// DirectRoutes renders what a team wrote as the routing of one of its services at h.Site. Only names of services
// are replaced, by those that the zone's proxies know; backends are the services by the names that were written.
func DirectRoutes(h *plan.VirtualHost, d *Direct, backends map[string]*plan.Service) *feedpb.Resource {
	vs := proto.Clone(d.spec).(*networking.VirtualService)
	vs.Hosts = meshHosts(h)
	if h.Site != nil && h.Site.IsKubernetes() {
		vs.Hosts = []string{h.Site.LocalHost(h.Service)}
	}
	for _, to := range destinations(vs) {
		to.Host = hostAt(h.Site, backends[to.Host])
	}
	return resource(KindVirtualService, namespaceAt(h.Site, h.Workspace), h.Service.Name, vs, []plan.Origin{d.origin})
}

// DirectDestination renders what a team wrote on how its service is reached from callers at a site, or in any
// zone of machines if site is nil.
func DirectDestination(s *plan.Service, site *plan.Site, d *Direct) *feedpb.Resource {
	rule := proto.Clone(d.spec).(*networking.DestinationRule)
	rule.Host = hostAt(site, s)
	return resource(KindDestinationRule, namespaceAt(site, s.Workspace), s.Name, rule, []plan.Origin{d.origin})
}

func hostAt(site *plan.Site, s *plan.Service) string {
	if site == nil {
		return s.Host()
	}
	return site.LocalHost(s)
}

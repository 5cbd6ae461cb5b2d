package pilot

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/util/protoconv"
	"istio.io/istio/pilot/pkg/xds"
)

// listeners generates what Istio does, when it can differ, adapted for workloads with explicit capture.
type listeners struct {
	*xds.LdsGenerator
	store     *store
	explicits *explicits
}

// Generate implements [model.XdsResourceGenerator].
func (g *listeners) Generate(proxy *model.Proxy, w *model.WatchedResource, req *model.PushRequest) (model.Resources, model.XdsLogDetails, error) {
	if proxy.Type == model.SidecarProxy && !req.Forced && g.store.onlyRoutes(req.ConfigsUpdated) {
		return nil, model.DefaultXdsLogDetails, nil
	}
	resources, details, err := g.LdsGenerator.Generate(proxy, w, req)
	x := g.explicits.of(proxy)
	if err != nil || x == nil || resources == nil {
		return resources, details, err
	}
	out := model.Resources{}
	for _, r := range resources {
		out = append(out, x.adapt(r)...)
	}
	return out, details, nil
}

// adapt turns one generated listener into those that the workload needs of it.
func (x *explicitSidecar) adapt(r *discovery.Resource) model.Resources {
	if at, ok := x.moved[r.Name]; ok {
		return model.Resources{edit(r, at, func(*listenerv3.Listener) {})}
	}
	if r.Name != x.proxy {
		return model.Resources{r}
	}
	var out model.Resources
	if !x.hidden {
		out = append(out, r)
	}
	for _, c := range x.copies {
		out = append(out, edit(r, c.at, func(l *listenerv3.Listener) { useRoute(l, c.route()) }))
	}
	return out
}

// edit copies a listener to another address. One that cannot be read stays as it is: Envoy will say so.
func edit(r *discovery.Resource, at hostPort, change func(*listenerv3.Listener)) *discovery.Resource {
	l := &listenerv3.Listener{}
	if r.Resource.UnmarshalTo(l) != nil {
		return r
	}
	l.Name = at.listener()
	l.AdditionalAddresses = nil
	l.Address = &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: at.host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: at.port},
	}}}
	change(l)
	return &discovery.Resource{Name: l.Name, Resource: protoconv.MessageToAny(l)}
}

// useRoute makes the listener's HTTP connections fetch the route table of that name.
func useRoute(l *listenerv3.Listener, name string) {
	for _, chain := range l.FilterChains {
		for _, filter := range chain.Filters {
			hcm := httpManager(filter)
			if hcm == nil {
				continue
			}
			hcm.GetRds().RouteConfigName = name
			filter.ConfigType = &listenerv3.Filter_TypedConfig{TypedConfig: protoconv.MessageToAny(hcm)}
		}
	}
}

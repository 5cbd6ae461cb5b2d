package pilot

import (
	"slices"
	"strconv"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/util/protoconv"
	"istio.io/istio/pilot/pkg/xds"
	"istio.io/istio/pkg/util/sets"
)

// routes generates what Istio does, adapted for workloads with explicit capture.
type routes struct {
	*xds.RdsGenerator
	explicits *explicits
}

// Generate implements [model.XdsResourceGenerator].
func (g *routes) Generate(proxy *model.Proxy, w *model.WatchedResource, req *model.PushRequest) (model.Resources, model.XdsLogDetails, error) {
	x := g.explicits.of(proxy)
	if x == nil {
		return g.RdsGenerator.Generate(proxy, w, req)
	}
	names := w.ResourceNames.Copy().Insert(x.route)
	generated, details, err := g.RdsGenerator.Generate(proxy, &model.WatchedResource{TypeUrl: w.TypeUrl, ResourceNames: names}, req)
	if err != nil || generated == nil {
		return generated, details, err
	}
	return x.adaptRoutes(generated, w.ResourceNames), details, nil
}

// adaptRoutes replaces the tables that are ours among those generated, and leaves out what nobody asked for.
func (x *explicitSidecar) adaptRoutes(generated model.Resources, asked sets.String) model.Resources {
	table := &routev3.RouteConfiguration{}
	for _, r := range generated {
		if r.Name == x.route && r.Resource.UnmarshalTo(table) == nil {
			heedPorts(table)
		}
	}
	ours := map[string]*routev3.RouteConfiguration{x.route: table}
	for _, c := range x.copies {
		ours[c.route()] = c.table(table)
	}
	var out model.Resources
	for _, r := range generated {
		if own := ours[r.Name]; own != nil {
			r = &discovery.Resource{Name: r.Name, Resource: protoconv.MessageToAny(own)}
		}
		if asked.Contains(r.Name) {
			out = append(out, r)
		}
	}
	return out
}

// table is the upstream's part of the HTTP proxy's table, for any name the application may call it.
func (c upstreamCopy) table(all *routev3.RouteConfiguration) *routev3.RouteConfiguration {
	out := proto.Clone(all).(*routev3.RouteConfiguration)
	out.Name = c.route()
	out.VirtualHosts = slices.DeleteFunc(out.VirtualHosts, func(vh *routev3.VirtualHost) bool { return vh.Name != c.authority })
	for _, vh := range out.VirtualHosts {
		vh.Domains = []string{"*"}
		for _, r := range vh.Routes {
			if action := r.GetRoute(); action != nil && action.HostRewriteSpecifier == nil {
				action.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: c.authority}
			}
		}
	}
	return out
}

// heedPorts makes the HTTP proxy's table tell "ratings:9081" from "ratings:9080". A name without port means 80, or
// else the service's lowest.
func heedPorts(table *routev3.RouteConfiguration) {
	table.IgnorePortInHostMatching = false
	bare, first := map[string][]string{}, map[string]*routev3.VirtualHost{}
	for _, vh := range table.VirtualHosts {
		host, port := splitVirtualHost(vh.Name)
		if port == 0 {
			continue
		}
		suffix := ":" + strconv.Itoa(port)
		names := bare[host]
		for _, d := range vh.Domains {
			names = append(names, strings.TrimSuffix(d, suffix))
		}
		bare[host], vh.Domains = names, nil
		if best := first[host]; best == nil || earlier(port, best) {
			first[host] = vh
		}
	}
	for _, vh := range table.VirtualHosts {
		host, port := splitVirtualHost(vh.Name)
		if port != 0 {
			vh.Domains = domains(bare[host], port, first[host] == vh)
		}
	}
	slices.SortFunc(table.VirtualHosts, func(a, b *routev3.VirtualHost) int { return strings.Compare(a.Name, b.Name) })
}

// domains are the names with the port, and for a service's first port without.
func domains(names []string, port int, first bool) []string {
	all := sets.New[string]()
	for _, n := range names {
		all.Insert(n + ":" + strconv.Itoa(port))
		if first {
			all.Insert(n)
		}
	}
	return sets.SortedList(all)
}

func earlier(port int, than *routev3.VirtualHost) bool {
	_, other := splitVirtualHost(than.Name)
	return port == 80 || other != 80 && port < other
}

// splitVirtualHost takes Istio's name of a virtual host apart; port is 0 for those that are no service's.
func splitVirtualHost(name string) (host string, port int) {
	i := strings.LastIndex(name, ":")
	if i < 0 {
		return name, 0
	}
	port, _ = strconv.Atoi(name[i+1:])
	return name[:i], port
}

package pilot

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/anypb"
)

// routesOf lists the routes that a listener fetches by name. What cannot be read names none: Envoy will say so.
func routesOf(resource *anypb.Any) []string {
	l := &listenerv3.Listener{}
	if resource.UnmarshalTo(l) != nil {
		return nil
	}
	var names []string
	for _, chain := range append(l.FilterChains, l.DefaultFilterChain) {
		for _, filter := range chain.GetFilters() {
			if hcm := httpManager(filter); hcm.GetRds().GetRouteConfigName() != "" {
				names = append(names, hcm.GetRds().GetRouteConfigName())
			}
		}
	}
	return names
}

// httpManager is the filter's HTTP connection manager; nil when it is another filter.
func httpManager(filter *listenerv3.Filter) *hcmv3.HttpConnectionManager {
	hcm := &hcmv3.HttpConnectionManager{}
	if filter.GetTypedConfig() == nil || filter.GetTypedConfig().UnmarshalTo(hcm) != nil {
		return nil
	}
	return hcm
}

// typeField is the number of Cluster.type.
const typeField = 2

// usesEDS tells whether a cluster fetches its endpoints. It reads the one field on the wire: every cluster of
// every proxy comes by here.
func usesEDS(cluster *anypb.Any) bool {
	b := cluster.GetValue()
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		if number == typeField && kind == protowire.VarintType {
			v, _ := protowire.ConsumeVarint(b)
			return v == uint64(clusterv3.Cluster_EDS)
		}
		if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
			return false
		}
		b = b[n:]
	}
	return false
}

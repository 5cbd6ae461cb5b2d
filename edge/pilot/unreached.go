package pilot

import (
	"strconv"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/grpc/codes"
	"istio.io/istio/pilot/pkg/util/protoconv"
)

// A proxy whose application takes no connection answers 503, as the application itself might. To callers that retry
// what was not processed the two must differ: the proxy's answer says UNAVAILABLE in gRPC's header too, which Envoy and
// Istio retry by default ("unavailable"), whatever the protocol.
var unreached = &hcmv3.LocalReplyConfig{Mappers: []*hcmv3.ResponseMapper{{
	Filter: &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_ResponseFlagFilter{
		ResponseFlagFilter: &accesslogv3.ResponseFlagFilter{Flags: []string{"UF"}}, // no connection to the upstream
	}},
	HeadersToAdd: []*corev3.HeaderValueOption{{
		Header:       &corev3.HeaderValue{Key: "grpc-status", Value: strconv.Itoa(int(codes.Unavailable))},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}},
}}}

// tellUnreached makes the listeners by which a proxy is called say when the application was not reached.
func tellUnreached(all []*listenerv3.Listener) {
	for _, l := range all {
		if l.TrafficDirection != corev3.TrafficDirection_INBOUND {
			continue
		}
		for _, chain := range l.FilterChains {
			for _, filter := range chain.Filters {
				if hcm := httpManager(filter); hcm != nil {
					hcm.LocalReplyConfig = unreached
					filter.ConfigType = &listenerv3.Filter_TypedConfig{TypedConfig: protoconv.MessageToAny(hcm)}
				}
			}
		}
	}
}

package pilot

import (
	"slices"
	"strconv"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"
	"istio.io/istio/pilot/pkg/util/protoconv"
)

// A proxy whose application is gone answers 503, as the application itself might. To callers that repeat what was not
// processed the two must differ: the proxy's answer says UNAVAILABLE in gRPC's header too, which Envoy and Istio retry
// by default ("unavailable"), whatever the protocol. It says so if the application took no connection, and, of requests
// that only read, if the connection ended before an answer.
var unreached = &hcmv3.LocalReplyConfig{Mappers: []*hcmv3.ResponseMapper{
	{Filter: flagged("UF"), HeadersToAdd: unavailable},                      // no connection to the upstream
	{Filter: both(flagged("UC", "UR"), reading), HeadersToAdd: unavailable}, // the upstream closed or reset it
}}

var unavailable = []*corev3.HeaderValueOption{{
	Header:       &corev3.HeaderValue{Key: "grpc-status", Value: strconv.Itoa(int(codes.Unavailable))},
	AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
}}

// reading are requests that may be processed twice (https://www.rfc-editor.org/rfc/rfc9110#name-safe-methods).
var reading = &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_HeaderFilter{
	HeaderFilter: &accesslogv3.HeaderFilter{Header: &routev3.HeaderMatcher{
		Name: ":method",
		HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: &matcherv3.StringMatcher{
			MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: "GET|HEAD|OPTIONS"}},
		}},
	}},
}}

// flagged are answers with one of Envoy's response flags.
func flagged(flags ...string) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_ResponseFlagFilter{
		ResponseFlagFilter: &accesslogv3.ResponseFlagFilter{Flags: flags},
	}}
}

func both(a, b *accesslogv3.AccessLogFilter) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_AndFilter{
		AndFilter: &accesslogv3.AndFilter{Filters: []*accesslogv3.AccessLogFilter{a, b}},
	}}
}

// unreachedField is unreached on the wire, where what is appended is merged: every listener of every proxy comes by.
var unreachedField = protoconv.MessageToAny(&hcmv3.HttpConnectionManager{LocalReplyConfig: unreached}).Value

// tellUnreached makes the listeners by which a proxy is called say when the application was not reached.
func tellUnreached(all []*listenerv3.Listener) {
	for _, l := range all {
		if l.TrafficDirection != corev3.TrafficDirection_INBOUND {
			continue
		}
		for _, chain := range l.FilterChains {
			for _, filter := range chain.Filters {
				if hcm := filter.GetTypedConfig(); hcm.MessageIs((*hcmv3.HttpConnectionManager)(nil)) {
					told := &anypb.Any{TypeUrl: hcm.TypeUrl, Value: slices.Concat(hcm.Value, unreachedField)}
					filter.ConfigType = &listenerv3.Filter_TypedConfig{TypedConfig: told}
				}
			}
		}
	}
}

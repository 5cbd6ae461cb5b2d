package compiler

import (
	"regexp"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// grpcRules resolves the rules of a GRPCRoute. A gRPC call is a POST of /SERVICE/METHOD.
func (r *routeWork) grpcRules(route *gatewayv1.GRPCRoute) {
	for i := range route.Spec.Rules {
		spec := &route.Spec.Rules[i]
		rule := r.newRule(plan.Rule{Origin: origin(route, r.key.kind, at("spec.rules", i)), GRPC: true})
		for j, filter := range spec.Filters {
			rule.filter(httpFilter(filter), element{rule.Origin.Field, "filters", j})
		}
		for j, ref := range spec.BackendRefs {
			rule.backend(httpBackend(ref), element{rule.Origin.Field, "backendRefs", j})
		}
		rule.share()
		rule.limits(nil)
		rule.finish(grpcMatches(spec.Matches))
	}
}

// httpFilter is the filter of an HTTPRoute that does the same.
func httpFilter(f gatewayv1.GRPCRouteFilter) gatewayv1.HTTPRouteFilter {
	return gatewayv1.HTTPRouteFilter{
		Type:                   gatewayv1.HTTPRouteFilterType(f.Type),
		RequestHeaderModifier:  f.RequestHeaderModifier,
		ResponseHeaderModifier: f.ResponseHeaderModifier,
		RequestMirror:          f.RequestMirror,
		ExtensionRef:           f.ExtensionRef,
	}
}

func httpBackend(ref gatewayv1.GRPCBackendRef) gatewayv1.HTTPBackendRef {
	same := gatewayv1.HTTPBackendRef{BackendRef: ref.BackendRef}
	for _, filter := range ref.Filters {
		same.Filters = append(same.Filters, httpFilter(filter))
	}
	return same
}

func grpcMatches(specs []gatewayv1.GRPCRouteMatch) []plan.Match {
	matches := make([]plan.Match, 0, max(1, len(specs)))
	for _, spec := range specs {
		m := plan.Match{Path: grpcPath(spec.Method)}
		for _, header := range spec.Headers {
			regex := header.Type != nil && *header.Type == gatewayv1.GRPCHeaderMatchRegularExpression
			m.AddHeader(string(header.Name), header.Value, regex)
		}
		matches = append(matches, m)
	}
	if len(matches) == 0 {
		matches = append(matches, plan.Match{})
	}
	return matches
}

// grpcPath is the path of the calls of a method, of a service, or of methods of a name.
func grpcPath(m *gatewayv1.GRPCMethodMatch) *plan.PathMatch {
	if m == nil || m.Service == nil && m.Method == nil {
		return nil
	}
	const anything = "[^/]+"
	service, method := anything, anything
	regex := m.Type != nil && *m.Type == gatewayv1.GRPCMethodMatchRegularExpression
	quote := regexp.QuoteMeta
	if regex {
		quote = func(pattern string) string { return "(?:" + pattern + ")" }
	}
	if m.Service != nil {
		service = quote(*m.Service)
	}
	if m.Method != nil {
		method = quote(*m.Method)
	}
	switch {
	case !regex && m.Method == nil:
		return &plan.PathMatch{Kind: plan.PathPrefix, Value: "/" + *m.Service}
	case !regex && m.Service != nil:
		return &plan.PathMatch{Kind: plan.PathExact, Value: "/" + *m.Service + "/" + *m.Method}
	}
	return &plan.PathMatch{Kind: plan.PathRegex, Value: "/" + service + "/" + method}
}

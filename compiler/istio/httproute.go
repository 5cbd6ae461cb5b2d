package istio

import (
	"math"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// httpRoutes renders entries of one rule that follow each other. It is one route, except where a
// path is changed: what is matched decides how.
func httpRoutes(entries []plan.Entry) []*networking.HTTPRoute {
	rule := entries[0].Rule
	if change := pathChange(rule); change != nil && !change.Full {
		return prefixRoutes(entries, change)
	}
	route := httpRoute(rule)
	for _, entry := range entries {
		route.Match = append(route.Match, matches(entry)...)
	}
	if len(route.Match) == 1 && route.Match[0] == nil {
		route.Match = nil
	}
	setPath(route, rule)
	return []*networking.HTTPRoute{route}
}

func pathChange(rule *plan.Rule) *plan.PathChange {
	switch {
	case rule.Redirect != nil:
		return rule.Redirect.Path
	case rule.Rewrite != nil:
		return rule.Rewrite.Path
	}
	return nil
}

// httpRoute renders everything of a rule but its matches and changes of the path. The name leads
// back to the rule.
func httpRoute(rule *plan.Rule) *networking.HTTPRoute {
	route := &networking.HTTPRoute{
		Name:       rule.Origin.String(),
		CorsPolicy: cors(rule.CORS),
		Headers:    headers(rule.Request, rule.Response),
	}
	for i := range rule.Mirrors {
		route.Mirrors = append(route.Mirrors, &networking.HTTPMirrorPolicy{
			Destination: destination(&rule.Mirrors[i].Backend),
			Percentage:  &networking.Percent{Value: rule.Mirrors[i].Percent},
		})
	}
	switch {
	case rule.Redirect != nil:
		route.Redirect = redirect(rule.Redirect)
	case len(rule.Backends) == 0:
		route.DirectResponse = &networking.HTTPDirectResponse{Status: refusal(rule)}
	default:
		forward(route, rule)
	}
	return route
}

// refusal is what callers are told who asked for a backend that does not exist: 500 by the Gateway
// API, and UNAVAILABLE for gRPC, which clients read from 503.
func refusal(rule *plan.Rule) uint32 {
	if rule.GRPC {
		return 503
	}
	return 500
}

// forward sends requests to backends.
func forward(route *networking.HTTPRoute, rule *plan.Rule) {
	for i := range rule.Backends {
		b := &rule.Backends[i]
		route.Route = append(route.Route, &networking.HTTPRouteDestination{
			Destination: destination(b),
			Weight:      b.Weight,
			Headers:     headers(b.Request, b.Response),
		})
	}
	if rule.Rewrite != nil && rule.Rewrite.Host != "" {
		route.Rewrite = &networking.HTTPRewrite{Authority: rule.Rewrite.Host}
	}
	if rule.Timeout > 0 {
		route.Timeout = durationpb.New(rule.Timeout)
	}
	route.Retries = Retry(rule.Retries)
	route.Fault = fault(rule)
	if rule.Refused > 0 && aborts(rule.Fault) {
		route.Route = append(route.Route, &networking.HTTPRouteDestination{Destination: nowhere, Weight: refusedWeight(rule)})
	}
}

// Retry renders retries; what it returns is shared. It is also the form of the mesh-wide default, for services without routes.
func Retry(r *plan.Retries) *networking.HTTPRetry {
	if r == plan.DefaultRetries() {
		return defaultRetry
	}
	return retry(*r)
}

var defaultRetry = retry(*plan.DefaultRetries())

func retry(r plan.Retries) *networking.HTTPRetry {
	if r.Attempts == 0 {
		return &networking.HTTPRetry{}
	}
	rendered := &networking.HTTPRetry{
		Attempts:                 r.Attempts,
		RetryOn:                  strings.Join(r.On, ","),
		RetryIgnorePreviousHosts: wrapperspb.Bool(true),
		RetryRemoteLocalities:    wrapperspb.Bool(true), // after two attempts in one zone, where there are others
	}
	if r.PerTry > 0 {
		rendered.PerTryTimeout = durationpb.New(r.PerTry)
	}
	return rendered
}

// fault renders faults of a policy, and the refusal of the share of requests without a backend. There is one
// status for both: if the policy has one, that share is sent nowhere instead, which proxies answer with 503.
func fault(rule *plan.Rule) *networking.HTTPFaultInjection {
	f := &networking.HTTPFaultInjection{}
	if wish := rule.Fault; wish != nil && wish.Delay > 0 && wish.DelayPercent > 0 {
		f.Delay = &networking.HTTPFaultInjection_Delay{
			HttpDelayType: &networking.HTTPFaultInjection_Delay_FixedDelay{FixedDelay: durationpb.New(wish.Delay)},
			Percentage:    &networking.Percent{Value: wish.DelayPercent},
		}
	}
	switch {
	case aborts(rule.Fault):
		f.Abort = abort(rule.Fault.Status, rule.Fault.StatusPercent)
	case rule.Refused > 0:
		f.Abort = abort(int32(refusal(rule)), rule.Refused)
	}
	if f.Delay == nil && f.Abort == nil {
		return nil
	}
	return f
}

func aborts(f *plan.Fault) bool { return f != nil && f.Status > 0 && f.StatusPercent > 0 }

// refusedWeight is the weight of the requests without a backend beside those of the backends.
func refusedWeight(rule *plan.Rule) int32 {
	served := 0.0
	for _, b := range rule.Backends {
		served += float64(b.Weight)
	}
	return int32(math.Round(served * rule.Refused / (100 - rule.Refused)))
}

func abort(status int32, percent float64) *networking.HTTPFaultInjection_Abort {
	return &networking.HTTPFaultInjection_Abort{
		ErrorType:  &networking.HTTPFaultInjection_Abort_HttpStatus{HttpStatus: status},
		Percentage: &networking.Percent{Value: percent},
	}
}

func headers(request, response *plan.HeaderChange) *networking.Headers {
	if request == nil && response == nil {
		return nil
	}
	return &networking.Headers{Request: headerOperations(request), Response: headerOperations(response)}
}

func headerOperations(c *plan.HeaderChange) *networking.Headers_HeaderOperations {
	if c == nil {
		return nil
	}
	return &networking.Headers_HeaderOperations{Set: c.Set, Add: c.Add, Remove: c.Remove}
}

package compiler

import (
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// httpRules resolves the rules of an HTTPRoute.
func (r *routeWork) httpRules(route *gatewayv1.HTTPRoute) {
	for i := range route.Spec.Rules {
		spec := &route.Spec.Rules[i]
		rule := r.newRule(plan.Rule{Origin: origin(route, r.key.kind, at("spec.rules", i))})
		for j, filter := range spec.Filters {
			rule.filter(filter, element{rule.Origin.Field, "filters", j})
		}
		for j, ref := range spec.BackendRefs {
			rule.backend(ref, element{rule.Origin.Field, "backendRefs", j})
		}
		rule.share()
		rule.limits(spec.Timeouts)
		rule.finish(httpMatches(spec.Matches))
	}
}

// ruleWork resolves one rule.
type ruleWork struct {
	*routeWork
	*plan.Rule
	// total weight of all backends, and that of those that do not exist.
	total, lost int32
	broken      bool
}

func (r *routeWork) newRule(rule plan.Rule) *ruleWork {
	r.rules++
	return &ruleWork{routeWork: r, Rule: &rule}
}

// field is the path of a field of the rule.
func (r *ruleWork) field(name string) string { return r.Origin.Field + "." + name }

// unsupported gives the rule up: its requests are answered with an error, as the Gateway API asks for
// filters that cannot be had.
func (r *ruleWork) unsupported(field any) {
	r.breaks(problem.Unsupported.Because("%s is not supported", field))
}

func (r *ruleWork) breaks(err *problem.Error) {
	r.broken = true
	r.fault(err)
}

// backend adds a backend of the rule.
func (r *ruleWork) backend(ref gatewayv1.HTTPBackendRef, field element) {
	b, exists := r.routeWork.backend(ref.BackendObjectReference, field)
	b.Weight = weightOf(ref.BackendRef)
	r.total += b.Weight
	for i, filter := range ref.Filters {
		r.backendFilter(&b, filter, element{field.String(), "filters", i})
	}
	switch {
	case !exists:
		r.lost += b.Weight
	case b.Weight > 0:
		r.Backends = append(r.Backends, b)
	}
}

// backendFilter applies a filter for one backend: only changes of headers are possible.
func (r *ruleWork) backendFilter(b *plan.Backend, filter gatewayv1.HTTPRouteFilter, field element) {
	switch {
	case filter.RequestHeaderModifier != nil:
		b.Request = headerChange(filter.RequestHeaderModifier)
	case filter.ResponseHeaderModifier != nil:
		b.Response = headerChange(filter.ResponseHeaderModifier)
	default:
		r.unsupported(field)
	}
}

// share computes which part of the requests has no backend.
func (r *ruleWork) share() {
	switch {
	case r.Redirect != nil:
	case r.total == 0:
		r.Refused = 100
	default:
		r.Refused = 100 * float64(r.lost) / float64(r.total)
	}
}

// finish adds the rule to the route, once for each of its matches.
func (r *ruleWork) finish(matches []plan.Match) {
	if r.broken {
		*r.Rule = plan.Rule{Origin: r.Origin, GRPC: r.GRPC, Refused: 100}
	}
	good := 0
	for i, match := range matches {
		if err := match.Check(); err != nil {
			r.fault(problem.Invalid.Because("%s: %v", r.field(at("matches", i)), err))
			continue
		}
		good++
		r.entries = append(r.entries, plan.Entry{Match: match, Rule: r.Rule})
	}
	if r.broken || good == 0 {
		r.faulty++
	}
}

// httpMatches are the matches of a rule; one that matches everything, if it has none.
func httpMatches(specs []gatewayv1.HTTPRouteMatch) []plan.Match {
	matches := make([]plan.Match, 0, max(1, len(specs)))
	for _, spec := range specs {
		matches = append(matches, httpMatch(spec))
	}
	if len(matches) == 0 {
		matches = append(matches, plan.Match{})
	}
	return matches
}

func httpMatch(spec gatewayv1.HTTPRouteMatch) plan.Match {
	m := plan.Match{Path: pathMatch(spec.Path)}
	if spec.Method != nil {
		m.Method = string(*spec.Method)
	}
	for _, header := range spec.Headers {
		regex := header.Type != nil && *header.Type == gatewayv1.HeaderMatchRegularExpression
		m.AddHeader(string(header.Name), header.Value, regex)
	}
	for _, param := range spec.QueryParams {
		regex := param.Type != nil && *param.Type == gatewayv1.QueryParamMatchRegularExpression
		m.AddQuery(string(param.Name), param.Value, regex)
	}
	return m
}

func pathMatch(spec *gatewayv1.HTTPPathMatch) *plan.PathMatch {
	if spec == nil || spec.Value == nil {
		return nil
	}
	path := &plan.PathMatch{Value: *spec.Value}
	if spec.Type != nil {
		switch *spec.Type {
		case gatewayv1.PathMatchExact:
			path.Kind = plan.PathExact
		case gatewayv1.PathMatchRegularExpression:
			path.Kind = plan.PathRegex
		}
	}
	if path.Kind == plan.PathPrefix && path.Value == "/" {
		return nil
	}
	return path
}

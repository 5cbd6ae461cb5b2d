package compiler

import (
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// limits gives the rule timeouts, retries and faults: its own timeouts if it has them, then what policies on
// the route say, then policies on what it sends to, then the defaults.
func (r *ruleWork) limits(timeouts *gatewayv1.HTTPRouteTimeouts) {
	policy := r.policy.Over(r.backendPolicy())
	followPolicy(r.Rule, policy)
	if timeouts != nil {
		r.ownTimeouts(timeouts)
	}
}

// followPolicy does with requests what a policy says, and by default what defaults say.
func followPolicy(rule *plan.Rule, p *plan.Policy) {
	rule.Retries = plan.DefaultRetries()
	if p == nil {
		return
	}
	if p.Timeouts != nil && p.Timeouts.Request != nil {
		rule.Timeout = *p.Timeouts.Request
	}
	if p.Retries != nil {
		rule.Retries = p.Retries
	}
	rule.Fault = p.Fault
	for _, part := range requestParts() {
		if from, said := p.Origins[part]; said {
			rule.Policies = append(rule.Policies, from)
		}
	}
}

// backendPolicy is the policy of the one service or subset that all backends are of. What acts on
// requests cannot differ between backends of one rule; policies left out because of that are told.
func (r *ruleWork) backendPolicy() *plan.Policy {
	var common *plan.Policy
	for i, b := range r.Backends {
		ofService := policyOf(r.work, kindService, b.Service.Workspace, b.Service.Name)
		var ofSubset *plan.Policy
		if b.Subset != "" {
			ofSubset = policyOf(r.work, kindSubset, b.Service.Workspace, b.Subset)
		}
		switch {
		case !r.oneService():
			r.skipped(ofService)
			r.skipped(ofSubset)
		case !r.oneSubset():
			common = ofService
			r.skipped(ofSubset)
		case i == 0:
			common = ofSubset.Over(ofService)
		}
	}
	return common
}

func (r *ruleWork) oneService() bool {
	for _, b := range r.Backends[1:] {
		if b.Service.Host() != r.Backends[0].Service.Host() {
			return false
		}
	}
	return true
}

func (r *ruleWork) oneSubset() bool {
	for _, b := range r.Backends[1:] {
		if b.Subset != r.Backends[0].Subset {
			return false
		}
	}
	return true
}

// skipped tells a policy that a rule does not follow it.
func (r *ruleWork) skipped(p *plan.Policy) {
	if p == nil {
		return
	}
	for _, part := range requestParts() {
		if from, said := p.Origins[part]; said {
			r.report(from.Kind, from.Namespace, from.Name, against(conditionConflicted, problem.Overridden.Because(
				"spec.%s does not act on %s %s/%s %s, which sends to several backends", part, r.key.kind, r.key.namespace, r.key.name, r.Origin.Field)))
		}
	}
}

// ownTimeouts applies the timeouts of the rule itself.
func (r *ruleWork) ownTimeouts(timeouts *gatewayv1.HTTPRouteTimeouts) {
	if timeouts.Request != nil {
		whole, err := duration(timeouts.Request)
		if err != nil {
			r.breaks(problem.Invalid.Because("%s: %v", r.field("timeouts.request"), err))
		}
		r.Timeout = whole
	}
	if timeouts.BackendRequest == nil {
		return
	}
	each, err := duration(timeouts.BackendRequest)
	if err != nil {
		r.breaks(problem.Invalid.Because("%s: %v", r.field("timeouts.backendRequest"), err))
	}
	if r.Retries.Attempts == 0 {
		if each > 0 && (r.Timeout == 0 || each < r.Timeout) {
			r.Timeout = each
		}
		return
	}
	limited := *r.Retries
	limited.PerTry = each
	r.Retries = &limited
}

package compiler

import (
	"strings"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// policyField is a field of a TrafficPolicy that says nothing about some targets, although its part does.
type policyField struct {
	name string
	set  func(*v1alpha1.TrafficPolicySpec) bool
}

// ofConnections are fields about connections in parts about requests: they say nothing about a route.
var ofConnections = []policyField{
	{"timeouts.connect", func(s *v1alpha1.TrafficPolicySpec) bool { return s.Timeouts != nil && s.Timeouts.Connect != nil }},
	{"timeouts.idle", func(s *v1alpha1.TrafficPolicySpec) bool { return s.Timeouts != nil && s.Timeouts.Idle != nil }},
	{"retries.budgetPercent", func(s *v1alpha1.TrafficPolicySpec) bool { return s.Retries != nil && s.Retries.BudgetPercent != nil }},
}

// ofRequests are fields about requests: they say nothing about a service that carries none.
var ofRequests = []policyField{
	{"loadBalancing.consistentHash.header", func(s *v1alpha1.TrafficPolicySpec) bool { return hashOf(s).Header != "" }},
	{"loadBalancing.consistentHash.cookie", func(s *v1alpha1.TrafficPolicySpec) bool { return hashOf(s).Cookie != nil }},
	{"timeouts.request", func(s *v1alpha1.TrafficPolicySpec) bool { return s.Timeouts != nil && s.Timeouts.Request != nil }},
	{"retries", func(s *v1alpha1.TrafficPolicySpec) bool { return s.Retries != nil }},
	{"connectionLimits.maxRequests", func(s *v1alpha1.TrafficPolicySpec) bool {
		return s.ConnectionLimits != nil && s.ConnectionLimits.MaxRequests != nil
	}},
	{"connectionLimits.maxRequestsPerConnection", func(s *v1alpha1.TrafficPolicySpec) bool {
		return s.ConnectionLimits != nil && s.ConnectionLimits.MaxRequestsPerConnection != nil
	}},
	{"outlierDetection.consecutive5xx", func(s *v1alpha1.TrafficPolicySpec) bool {
		return s.OutlierDetection != nil && s.OutlierDetection.Consecutive5xx != nil
	}},
	{"fault", func(s *v1alpha1.TrafficPolicySpec) bool { return s.Fault != nil }},
}

func hashOf(s *v1alpha1.TrafficPolicySpec) v1alpha1.ConsistentHash {
	if s.LoadBalancing == nil || s.LoadBalancing.ConsistentHash == nil {
		return v1alpha1.ConsistentHash{}
	}
	return *s.LoadBalancing.ConsistentHash
}

// tellMisfits tells a policy which of its fields say nothing about the target.
func tellMisfits(w *work, p *v1alpha1.TrafficPolicy) {
	k := w.node.key
	var misfits []string
	var why string
	switch {
	case k.kind == kindHTTPRoute:
		misfits, why = set(ofConnections, p), "routes have no connections of their own"
	case !carriesRequests(targetService(w)):
		misfits, why = set(ofRequests, p), "its ports carry no requests"
	}
	if len(misfits) > 0 {
		w.report(kindTrafficPolicy, p.Namespace, p.Name, against(v1alpha1.ConditionAccepted,
			problem.Unsupported.Because("%s for %s %q: %s", strings.Join(misfits, ", "), k.kind, k.name, why)))
	}
}

// set are the paths of those fields that a policy sets.
func set(fields []policyField, p *v1alpha1.TrafficPolicy) (paths []string) {
	for _, field := range fields {
		if field.set(&p.Spec) {
			paths = append(paths, "spec."+field.name)
		}
	}
	return paths
}

// targetService is the service that a policy is for, whole or a subset of it.
func targetService(w *work) *plan.Service {
	k := w.node.key
	if k.kind == kindSubset {
		s, _ := findSubset(w, k.namespace, k.name)
		return s
	}
	return value[*plan.Service](w, serviceKey(k.namespace, k.name))
}

// carriesRequests says whether a service has ports of HTTP or gRPC. Of one without ports nothing is known yet.
func carriesRequests(s *plan.Service) bool { return len(s.Ports) == 0 || len(httpPorts(s)) > 0 }

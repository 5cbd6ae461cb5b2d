package compiler

import (
	"fmt"
	"time"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// policyPart is one part of a TrafficPolicy: conflicts are settled part by part.
type policyPart struct {
	// name of the field in spec.
	name string
	set  func(*v1alpha1.TrafficPolicySpec) bool
	put  func(*plan.Policy, *v1alpha1.TrafficPolicySpec) error
	// request says that the part acts on requests: the only ones that can be attached to a route.
	request bool
}

// fits says whether the part can be attached to a target of a kind.
func (p policyPart) fits(kind string) bool { return p.request || kind != kindHTTPRoute }

var policyParts = []policyPart{
	{name: "loadBalancing", set: func(s *v1alpha1.TrafficPolicySpec) bool { return s.LoadBalancing != nil }, put: putLoadBalancing},
	{name: "timeouts", set: func(s *v1alpha1.TrafficPolicySpec) bool { return s.Timeouts != nil }, put: putTimeouts, request: true},
	{name: "retries", set: func(s *v1alpha1.TrafficPolicySpec) bool { return s.Retries != nil }, put: putRetries, request: true},
	{name: "connectionLimits", set: func(s *v1alpha1.TrafficPolicySpec) bool { return s.ConnectionLimits != nil }, put: putLimits},
	{name: "outlierDetection", set: func(s *v1alpha1.TrafficPolicySpec) bool { return s.OutlierDetection != nil }, put: putOutliers},
	{name: "failover", set: func(s *v1alpha1.TrafficPolicySpec) bool { return s.Failover != nil }, put: putFailover},
	{name: "fault", set: func(s *v1alpha1.TrafficPolicySpec) bool { return s.Fault != nil }, put: putFault, request: true},
	{name: "tls", set: func(s *v1alpha1.TrafficPolicySpec) bool { return s.TLS != nil }, put: putTLS},
}

// requestParts are the names of the parts that act on requests.
func requestParts() []string {
	var parts []string
	for _, part := range policyParts {
		if part.request {
			parts = append(parts, part.name)
		}
	}
	return parts
}

func putLoadBalancing(p *plan.Policy, s *v1alpha1.TrafficPolicySpec) error {
	lb := &plan.LoadBalancing{}
	switch s.LoadBalancing.Policy {
	case "RoundRobin":
		lb.Balance = plan.RoundRobin
	case "ConsistentHash":
		lb.Balance = plan.ConsistentHash
		hash := s.LoadBalancing.ConsistentHash
		if hash == nil {
			return fmt.Errorf("policy ConsistentHash needs consistentHash")
		}
		lb.Header = hash.Header
		if hash.Cookie != nil {
			ttl, err := duration(&hash.Cookie.TTL)
			if err != nil {
				return err
			}
			lb.Cookie, lb.CookieTTL = hash.Cookie.Name, ttl
		}
	}
	p.LoadBalancing = lb
	return nil
}

func putTimeouts(p *plan.Policy, s *v1alpha1.TrafficPolicySpec) (err error) {
	t := &plan.Timeouts{}
	for _, bound := range []struct {
		from *gatewayv1.Duration
		to   **time.Duration
	}{{s.Timeouts.Connect, &t.Connect}, {s.Timeouts.Request, &t.Request}, {s.Timeouts.Idle, &t.Idle}} {
		if bound.from == nil {
			continue
		}
		d, err := duration(bound.from)
		if err != nil {
			return err
		}
		*bound.to = &d
	}
	p.Timeouts = t
	return nil
}

func putRetries(p *plan.Policy, s *v1alpha1.TrafficPolicySpec) error {
	perTry, err := duration(s.Retries.PerTryTimeout)
	if err != nil {
		return err
	}
	p.Retries = &plan.Retries{Attempts: s.Retries.Attempts, PerTry: perTry, On: s.Retries.RetryOn}
	if len(s.Retries.RetryOn) == 0 {
		p.Retries.On = plan.DefaultRetryOn()
	}
	if s.Retries.BudgetPercent != nil {
		p.Retries.BudgetPercent = *s.Retries.BudgetPercent
	}
	return nil
}

func putLimits(p *plan.Policy, s *v1alpha1.TrafficPolicySpec) error {
	orNone := func(bound *int32) int32 {
		if bound == nil {
			return 0
		}
		return *bound
	}
	limits := s.ConnectionLimits
	p.Limits = &plan.Limits{
		Connections:           orNone(limits.MaxConnections),
		Pending:               orNone(limits.MaxPendingRequests),
		Requests:              orNone(limits.MaxRequests),
		RequestsPerConnection: orNone(limits.MaxRequestsPerConnection),
	}
	return nil
}

func putOutliers(p *plan.Policy, s *v1alpha1.TrafficPolicySpec) (err error) {
	spec, o := s.OutlierDetection, plan.DefaultOutliers()
	if spec.Consecutive5xx != nil {
		o.Consecutive5xx = *spec.Consecutive5xx
	}
	if spec.MaxEjectionPercent != 0 {
		o.MaxPercent = spec.MaxEjectionPercent
	}
	if spec.Interval != "" {
		if o.Interval, err = duration(&spec.Interval); err != nil {
			return err
		}
	}
	if spec.BaseEjectionTime != "" {
		if o.Base, err = duration(&spec.BaseEjectionTime); err != nil {
			return err
		}
	}
	p.Outliers = o
	return nil
}

func putFailover(p *plan.Policy, s *v1alpha1.TrafficPolicySpec) error {
	p.Failover = &plan.Failover{Region: s.Failover.Prefer == "Region"}
	return nil
}

func putFault(p *plan.Policy, s *v1alpha1.TrafficPolicySpec) error {
	f := &plan.Fault{}
	if delay := s.Fault.Delay; delay != nil {
		d, err := duration(&delay.Duration)
		if err != nil {
			return err
		}
		f.Delay, f.DelayPercent = d, float64(delay.Percent)
	}
	if abort := s.Fault.Abort; abort != nil {
		f.Status, f.StatusPercent = abort.Status, float64(abort.Percent)
	}
	p.Fault = f
	return nil
}

func putTLS(p *plan.Policy, s *v1alpha1.TrafficPolicySpec) error {
	p.TLS = &plan.OriginateTLS{ServerName: s.TLS.SNI, Roots: s.TLS.CACertificateRef}
	return nil
}

// duration reads a duration of the Gateway API (GEP-2257), which is one of Go's; nil is 0.
func duration(d *gatewayv1.Duration) (time.Duration, error) {
	if d == nil || *d == "" {
		return 0, nil
	}
	return time.ParseDuration(string(*d))
}

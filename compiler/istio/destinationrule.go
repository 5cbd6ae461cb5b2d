package istio

import (
	"time"

	networking "istio.io/api/networking/v1alpha3"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// Destination renders how callers reach a service as a DestinationRule.
func Destination(d *plan.Destination) *feedpb.Resource {
	s := d.Service
	rule := &networking.DestinationRule{
		Host:          s.Host(),
		TrafficPolicy: trafficPolicy(s, d.Policy),
		ExportTo:      exportTo(s),
	}
	origins := append([]plan.Origin(nil), s.Origins...)
	origins = append(origins, policyOrigins(d.Policy)...)
	for _, subset := range d.Subsets {
		rendered := &networking.Subset{Name: subsetName(subset.Subset.Name), Labels: subset.Subset.Labels}
		if subset.Policy != nil {
			// Istio replaces part by part, not field by field: say everything again.
			rendered.TrafficPolicy = trafficPolicy(s, subset.Policy.Over(d.Policy))
		}
		rule.Subsets = append(rule.Subsets, rendered)
		if subset.Subset.Origin.Kind != "" {
			origins = append(origins, subset.Subset.Origin)
		}
		origins = append(origins, policyOrigins(subset.Policy)...)
	}
	return resource(KindDestinationRule, s.Workspace, s.Name, rule, origins)
}

// destinationParts are the parts of a policy that a DestinationRule shows, in order.
var destinationParts = []string{"connectionLimits", "failover", "loadBalancing", "outlierDetection", "retries", "timeouts", "tls"}

func policyOrigins(p *plan.Policy) []plan.Origin {
	if p == nil {
		return nil
	}
	var origins []plan.Origin
	for _, part := range destinationParts {
		if from, said := p.Origins[part]; said {
			origins = append(origins, from)
		}
	}
	return origins
}

// trafficPolicy renders what policies say, and the defaults where they do not.
func trafficPolicy(s *plan.Service, p *plan.Policy) *networking.TrafficPolicy {
	switch {
	case p == nil && len(s.External) == 0:
		return defaultTrafficPolicy
	case p == nil:
		p = &plan.Policy{}
	}
	return policyParts(s, p)
}

// policyParts renders a policy part by part.
func policyParts(s *plan.Service, p *plan.Policy) *networking.TrafficPolicy {
	policy := &networking.TrafficPolicy{
		LoadBalancer:     loadBalancer(p),
		ConnectionPool:   connectionPool(p),
		OutlierDetection: outlierDetection(p.Outliers),
		Tls:              clientTLS(s, p),
	}
	if p.Retries != nil && p.Retries.BudgetPercent > 0 {
		policy.RetryBudget = &networking.TrafficPolicy_RetryBudget{
			Percent:             wrapperspb.Double(float64(p.Retries.BudgetPercent)),
			MinRetryConcurrency: plan.DefaultRetryMinConcurrency,
		}
	}
	return policy
}

// defaultTrafficPolicy is that of a service inside of the mesh that no policy speaks of: most of them.
var defaultTrafficPolicy = policyParts(&plan.Service{}, &plan.Policy{})

func loadBalancer(p *plan.Policy) *networking.LoadBalancerSettings {
	lb := p.LoadBalancing
	if lb == nil {
		lb = &plan.LoadBalancing{Balance: plan.DefaultBalance}
	}
	settings := &networking.LoadBalancerSettings{LocalityLbSetting: locality(p.Failover)}
	switch lb.Balance {
	case plan.ConsistentHash:
		settings.LbPolicy = &networking.LoadBalancerSettings_ConsistentHash{ConsistentHash: consistentHash(lb)}
	case plan.RoundRobin:
		settings.LbPolicy = &networking.LoadBalancerSettings_Simple{Simple: networking.LoadBalancerSettings_ROUND_ROBIN}
	default:
		settings.LbPolicy = &networking.LoadBalancerSettings_Simple{Simple: networking.LoadBalancerSettings_LEAST_REQUEST}
	}
	return settings
}

func consistentHash(lb *plan.LoadBalancing) *networking.LoadBalancerSettings_ConsistentHashLB {
	hash := &networking.LoadBalancerSettings_ConsistentHashLB{}
	switch {
	case lb.Header != "":
		hash.HashKey = &networking.LoadBalancerSettings_ConsistentHashLB_HttpHeaderName{HttpHeaderName: lb.Header}
	case lb.Cookie != "":
		hash.HashKey = &networking.LoadBalancerSettings_ConsistentHashLB_HttpCookie{
			HttpCookie: &networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie{Name: lb.Cookie, Path: "/", Ttl: durationpb.New(lb.CookieTTL)},
		}
	default:
		hash.HashKey = &networking.LoadBalancerSettings_ConsistentHashLB_UseSourceIp{UseSourceIp: true}
	}
	return hash
}

// locality prefers near endpoints if asked for. Without, endpoints of all places are equal; Istio
// would prefer near ones as soon as there is outlier detection.
func locality(f *plan.Failover) *networking.LocalityLoadBalancerSetting {
	setting := &networking.LocalityLoadBalancerSetting{Enabled: wrapperspb.Bool(f != nil)}
	if f != nil && f.Region {
		setting.FailoverPriority = []string{plan.LabelRegion}
	}
	return setting
}

func connectionPool(p *plan.Policy) *networking.ConnectionPoolSettings {
	tcp := &networking.ConnectionPoolSettings_TCPSettings{
		ConnectTimeout: durationpb.New(plan.DefaultConnectTimeout),
		TcpKeepalive: &networking.ConnectionPoolSettings_TCPSettings_TcpKeepalive{
			Time:     durationpb.New(plan.KeepaliveTime),
			Interval: durationpb.New(plan.KeepaliveInterval),
			Probes:   plan.KeepaliveProbes,
		},
	}
	http := &networking.ConnectionPoolSettings_HTTPSettings{}
	if limits := p.Limits; limits != nil {
		tcp.MaxConnections = limits.Connections
		http.Http1MaxPendingRequests = limits.Pending
		http.Http2MaxRequests = limits.Requests
		http.MaxRequestsPerConnection = limits.RequestsPerConnection
	}
	if t := p.Timeouts; t != nil {
		if t.Connect != nil && *t.Connect >= time.Millisecond {
			tcp.ConnectTimeout = durationpb.New(*t.Connect)
		}
		if t.Idle != nil && *t.Idle > 0 {
			tcp.IdleTimeout = durationpb.New(*t.Idle)
			http.IdleTimeout = durationpb.New(*t.Idle)
		}
	}
	return &networking.ConnectionPoolSettings{Tcp: tcp, Http: http}
}

func outlierDetection(o *plan.Outliers) *networking.OutlierDetection {
	if o == nil {
		o = plan.DefaultOutliers()
	}
	return &networking.OutlierDetection{
		SplitExternalLocalOriginErrors: true,
		ConsecutiveLocalOriginFailures: wrapperspb.UInt32(uint32(o.ConsecutiveLocal)),
		Consecutive_5XxErrors:          wrapperspb.UInt32(uint32(o.Consecutive5xx)),
		ConsecutiveGatewayErrors:       wrapperspb.UInt32(0),
		Interval:                       durationpb.New(o.Interval),
		BaseEjectionTime:               durationpb.New(o.Base),
		MaxEjectionPercent:             o.MaxPercent,
	}
}

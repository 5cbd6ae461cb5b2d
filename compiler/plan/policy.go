package plan

import "time"

// Policy says how callers treat a service, a subset or the requests of a route. A nil part is not
// said: the product's default of defaults.go applies.
type Policy struct {
	LoadBalancing *LoadBalancing
	Timeouts      *Timeouts
	Retries       *Retries
	Limits        *Limits
	Outliers      *Outliers
	Failover      *Failover
	Fault         *Fault
	TLS           *OriginateTLS
	// Origins of the parts, by the name of the part in the object ("retries").
	Origins map[string]Origin
}

// Over is the policy of the more specific p where it says something, else that of base.
func (p *Policy) Over(base *Policy) *Policy {
	if p == nil {
		return base
	}
	if base == nil {
		return p
	}
	merged := &Policy{
		LoadBalancing: first(p.LoadBalancing, base.LoadBalancing),
		Timeouts:      first(p.Timeouts, base.Timeouts),
		Retries:       first(p.Retries, base.Retries),
		Limits:        first(p.Limits, base.Limits),
		Outliers:      first(p.Outliers, base.Outliers),
		Failover:      first(p.Failover, base.Failover),
		Fault:         first(p.Fault, base.Fault),
		TLS:           first(p.TLS, base.TLS),
		Origins:       make(map[string]Origin, len(p.Origins)+len(base.Origins)),
	}
	for _, from := range []*Policy{base, p} {
		for part, origin := range from.Origins {
			merged.Origins[part] = origin
		}
	}
	return merged
}

func first[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

// Balance is a way of picking endpoints.
type Balance uint8

// The ways of picking endpoints.
const (
	LeastRequest Balance = iota
	RoundRobin
	ConsistentHash
)

// LoadBalancing picks the endpoint of a request.
type LoadBalancing struct {
	Balance Balance
	// Header, Cookie or else the caller's address is the key of a ConsistentHash.
	Header, Cookie string
	CookieTTL      time.Duration
}

// Timeouts bound waiting; nil is not said, zero switches a bound off.
type Timeouts struct {
	Connect, Request, Idle *time.Duration
}

// Retries of failed requests.
type Retries struct {
	// Attempts after the first one.
	Attempts int32
	// PerTry bounds each attempt; 0 does not.
	PerTry time.Duration
	// On lists when, in Envoy's words.
	On []string
	// BudgetPercent of the active requests may be retries; 0 is no budget.
	BudgetPercent int32
}

// Limits bound what one proxy opens to a service; 0 is no bound.
type Limits struct {
	Connections, Pending, Requests, RequestsPerConnection int32
}

// Outliers ejects endpoints that fail.
type Outliers struct {
	// Consecutive5xx answers eject; 0 never.
	Consecutive5xx int32
	// ConsecutiveLocal connection errors eject; 0 never.
	ConsecutiveLocal int32
	Interval, Base   time.Duration
	MaxPercent       int32
}

// Failover prefers near endpoints.
type Failover struct {
	// Region says that all zones of the caller's region are equally near.
	Region bool
}

// Nearness are the labels by which callers and endpoints are compared, in order: the more of them agree before the
// first that does not, the nearer. Requests go to the nearest that are well. Without failover, a nil one, the caller's
// own zone is told from all others.
func (f *Failover) Nearness() []string {
	switch {
	case f == nil:
		return []string{LabelZone}
	case f.Region:
		return []string{LabelRegion}
	}
	return []string{LabelRegion, LabelZone}
}

// Distance is how far away a zone is for callers in another one, by [Failover.Nearness]; 0 is nearest.
func (f *Failover) Distance(here, there *Site) int {
	compared := f.Nearness()
	for i, label := range compared {
		if here.label(label) != there.label(label) {
			return len(compared) - i
		}
	}
	return 0
}

// Fault injects delays and errors.
type Fault struct {
	Delay        time.Duration
	DelayPercent float64
	// Status answered instead; 0 is none.
	Status        int32
	StatusPercent float64
}

// OriginateTLS speaks TLS to a service outside of the mesh.
type OriginateTLS struct {
	// ServerName sent and verified; empty means the name called.
	ServerName string
	// Roots names a ConfigMap of the workspace; empty means those of the system.
	Roots string
}

package compiler

import (
	"maps"
	"slices"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// A service in several zones has further names, which nobody calls. What callers call is routed to them, at each site
// differently:
//
//   - a backend that names a zone goes there, by [plan.ZoneHost];
//   - any other one goes wherever the service is nearest, by [plan.NearHost], which proxies find out: see
//     [plan.Failover.Nearness]. So does one that names a zone in which no workload is healthy;
//   - where proxies cannot, because of a subset, of pods in the cluster or of a gateway that is known by a name, the hub
//     chooses among the zones in which a workload is healthy: see [plan.Failover.Distance].
//
// A gateway serves names that lead to the workloads of its own zone and nowhere else, [plan.ZoneHost] and
// [plan.HereHost]: a request that crossed once cannot cross again.

// crossing translates backends for callers at one site.
type crossing struct {
	*work
	here *plan.Site
}

// sites are the zones in which the names of a service are known: those of its workspace.
func (c *crossing) sites(s *plan.Service) sites { return value[sites](c.work, sitesKey(s.Workspace)) }

// name is how callers here call a service; empty if its workspace has no place in their cluster.
func (c *crossing) name(s *plan.Service) string {
	switch home := c.sites(s).find(c.here.Zone); {
	case home != nil:
		return home.LocalHost(s)
	case c.here.IsKubernetes():
		return ""
	}
	return s.Host()
}

// policy is what is said of a service or a subset of it; nil if nothing is.
func (c *crossing) policy(s *plan.Service, subset string) *plan.Policy {
	p := policyOf(c.work, kindService, s.Workspace, s.Name)
	if subset == "" {
		return p
	}
	return policyOf(c.work, kindSubset, s.Workspace, subset).Over(p)
}

// target is where requests go: a name of the service, and the subset there; empty means all.
type target struct{ host, subset string }

// backends are those of one backend, a share each: for callers of a cluster that have no name for it,
// one to which requests fail.
func (c *crossing) backends(b plan.Backend, from plan.Origin) []plan.Backend {
	if b.Service == nil || len(b.Service.External) > 0 {
		return []plan.Backend{b}
	}
	name := c.name(b.Service)
	if name == "" {
		c.unnamed(b.Service, from)
		return []plan.Backend{{Port: b.Port}}
	}
	var all []plan.Backend
	for _, t := range c.targets(b.Service, b.Subset) {
		to := b
		to.Host, to.Subset = t.host, t.subset
		all = append(all, to)
	}
	if all == nil {
		b.Host = name
		return []plan.Backend{b}
	}
	return all
}

// unnamed says on a route that callers in a cluster have no name for a service it is about.
func (c *crossing) unnamed(s *plan.Service, from plan.Origin) {
	c.report(from.Kind, from.Namespace, from.Name, against(v1alpha1.ConditionResolvedRefs, problem.NoPlaceInCluster.Because(
		"%s: service %s/%s for callers in zone %q", from.Field, s.Workspace, s.Name, c.here.Zone)))
}

// targets are where requests for a service or a subset of it go from here.
func (c *crossing) targets(s *plan.Service, subset string) []target {
	zone, rest := zoneOf(s, subset)
	reachable := c.reachable(s, rest)
	wanted := reachable
	if zone != "" {
		wanted = only(reachable, func(p *plan.Place) bool { return p.Zone == zone })
	}
	alive := only(wanted, isAlive)
	if (zone == "" || len(alive) == 0) && c.leaves(s, rest) {
		return []target{{plan.NearHost(s.Workspace, s.Name), ""}}
	}
	if len(alive) == 0 {
		alive = only(reachable, isAlive)
	}
	if len(alive) == 0 {
		alive = wanted
	}
	var all []target
	for _, place := range c.nearest(alive, s, subset) {
		all = append(all, target{c.hostIn(s, place.Zone), rest})
	}
	return all
}

// leaves says whether proxies here choose among the zones of all of a service.
func (c *crossing) leaves(s *plan.Service, subset string) bool {
	all := c.sites(s)
	return subset == "" && all.find(c.here.Zone) != nil && leaves(all, c.here, s)
}

// hostIn is how callers here call a service in one zone.
func (c *crossing) hostIn(s *plan.Service, zone string) string {
	if zone == c.here.Zone {
		return c.name(s)
	}
	return plan.ZoneHost(s.Workspace, s.Name, zone)
}

// nearest are those of the places of a service that are nearer than all others.
func (c *crossing) nearest(places []*plan.Place, s *plan.Service, subset string) []*plan.Place {
	var failover *plan.Failover
	if p := c.policy(s, subset); p != nil {
		failover = p.Failover
	}
	sites, least := c.sites(s), 0
	distance := func(p *plan.Place) int { return failover.Distance(c.here, sites.find(p.Zone)) }
	for i, p := range places {
		if d := distance(p); i == 0 || d < least {
			least = d
		}
	}
	return only(places, func(p *plan.Place) bool { return distance(p) == least })
}

func isAlive(p *plan.Place) bool { return p.Alive }

func only(places []*plan.Place, is func(*plan.Place) bool) []*plan.Place {
	return slices.DeleteFunc(slices.Clone(places), func(p *plan.Place) bool { return !is(p) })
}

// reachable are the places of a service that callers here can get to, as far as they have the subset.
func (c *crossing) reachable(s *plan.Service, subset string) []*plan.Place {
	sites := c.sites(s)
	if sites.find(c.here.Zone) == nil {
		return nil // the service's names in single zones are not known here
	}
	var all []*plan.Place
	for i := range s.Places {
		place := &s.Places[i]
		site := sites.find(place.Zone)
		if site == nil || place.Zone != c.here.Zone && len(site.Gateways) == 0 || !hasSubset(s, place, subset) {
			continue
		}
		all = append(all, place)
	}
	return all
}

// hasSubset says whether a place has workloads of a subset, as far as versions tell.
func hasSubset(s *plan.Service, place *plan.Place, subset string) bool {
	if subset == "" {
		return true
	}
	found, _ := subsetOf(s, subset)
	version := found.Labels[plan.LabelVersion]
	return version == "" || place.HasVersion(version)
}

// zoneOf is the zone that a subset names, and the subset inside of the zone; empty if it is all of it.
func zoneOf(s *plan.Service, subset string) (zone, rest string) {
	found, is := subsetOf(s, subset)
	if !is {
		return "", subset
	}
	if len(found.Labels) == 1 && found.Labels[plan.LabelZone] != "" {
		return found.Labels[plan.LabelZone], ""
	}
	return found.Labels[plan.LabelZone], subset
}

// host translates routing for callers at the site.
func (c *crossing) host(h *plan.VirtualHost) *plan.VirtualHost {
	translated := *h
	translated.Site = c.here
	if h.Service != nil && c.here.IsKubernetes() {
		translated.Host = c.name(h.Service)
	}
	translated.Entries = slices.Clone(h.Entries)
	rules := make(map[*plan.Rule]*plan.Rule, len(h.Entries))
	for i, entry := range h.Entries {
		if rules[entry.Rule] == nil {
			rules[entry.Rule] = c.rule(entry.Rule)
		}
		translated.Entries[i].Rule = rules[entry.Rule]
	}
	translated.Streams = slices.Clone(h.Streams)
	for i := range translated.Streams {
		stream := &translated.Streams[i]
		stream.Policies = c.policies(stream.Backends)
		stream.Backends = c.share(stream.Backends, stream.Origin)
	}
	return &translated
}

func (c *crossing) rule(r *plan.Rule) *plan.Rule {
	translated := *r
	translated.Policies = append(slices.Clone(r.Policies), c.policies(r.Backends)...)
	translated.Backends = c.share(r.Backends, r.Origin)
	translated.Mirrors = slices.Clone(r.Mirrors)
	for i, mirror := range r.Mirrors {
		translated.Mirrors[i].Backend = c.backends(mirror.Backend, r.Origin)[0]
	}
	return &translated
}

// policies are those that say which zones are near, for backends.
func (c *crossing) policies(backends []plan.Backend) []plan.Origin {
	var all []plan.Origin
	for _, b := range backends {
		if b.Service == nil {
			continue
		}
		if p := c.policy(b.Service, b.Subset); p != nil && p.Failover != nil {
			all = append(all, p.Origins["failover"])
		}
	}
	return all
}

// share translates backends that share requests by weight. Those that end at one place become one.
func (c *crossing) share(backends []plan.Backend, from plan.Origin) []plan.Backend {
	parts, scale := make([][]plan.Backend, len(backends)), int32(1)
	for i, b := range backends {
		parts[i] = c.backends(b, from)
		scale = lcm(scale, int32(len(parts[i])))
	}
	var all []plan.Backend
	for i, b := range backends {
		for _, part := range parts[i] {
			part.Weight = b.Weight * scale / int32(len(parts[i]))
			all = join(all, part)
		}
	}
	return all
}

// join adds a backend, or its weight to one that is the same otherwise.
func join(all []plan.Backend, b plan.Backend) []plan.Backend {
	for i := range all {
		same := all[i].Service == b.Service && all[i].Host == b.Host && all[i].Subset == b.Subset && all[i].Port == b.Port
		if same && b.Service != nil && sameHeaders(all[i].Request, b.Request) && sameHeaders(all[i].Response, b.Response) {
			all[i].Weight += b.Weight
			return all
		}
	}
	return append(all, b)
}

func sameHeaders(a, b *plan.HeaderChange) bool {
	if a == nil || b == nil {
		return a == b
	}
	return maps.Equal(a.Set, b.Set) && maps.Equal(a.Add, b.Add) && slices.Equal(a.Remove, b.Remove)
}

func lcm(a, b int32) int32 {
	x, y := a, b
	for y != 0 {
		x, y = y, x%y
	}
	return a / x * b
}

// crosses says whether callers at a site need routing to reach the service where it lives.
func (c *crossing) crosses(s *plan.Service) bool {
	targets := c.targets(s, "")
	return len(targets) > 0 && (len(targets) > 1 || targets[0].host != c.name(s))
}

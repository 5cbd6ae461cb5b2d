package inventory

import (
	"maps"
	"slices"
	"strings"

	"github.com/isthmus-mesh/isthmus/compiler"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// life counts the healthy workloads of services by zone. Unlike a trait, health does not linger: the last
// healthy workload's end in a zone sends requests to other zones at once.
type life struct {
	healthy map[serviceKey]map[string]int
	heard   map[string]bool // zones that said since the start what they have
}

func newLife() life { return life{map[serviceKey]map[string]int{}, map[string]bool{}} }

// alive says whether a service has a healthy workload in a zone, as far as the zone has told.
func (l life) alive(key serviceKey, zone string) bool {
	return !l.heard[zone] || l.healthy[key][zone] > 0
}

// add counts a workload in or, with a negative number, out; it reports whether a zone came to life or died.
func (l life) add(zone string, w *feedpb.Workload, n int) bool {
	if !w.Healthy {
		return false
	}
	key := keyOf(w)
	if l.healthy[key] == nil {
		l.healthy[key] = map[string]int{}
	}
	before := l.healthy[key][zone]
	l.healthy[key][zone] = before + n
	if before+n == 0 {
		delete(l.healthy[key], zone)
	}
	return before == 0 || before+n == 0
}

// hear notes that a zone has told everything it has.
func (s *shapes) hear(zone string) {
	if s.life.heard[zone] {
		return
	}
	s.life.heard[zone] = true
	for key, traits := range s.services {
		for t := range traits {
			if t.Zone == zone {
				s.touched[key] = true
			}
		}
	}
}

// places are a service's traits by zone, sorted.
func (s *shapes) places(key serviceKey) []compiler.DiscoveredPlace {
	byZone := map[string]*compiler.DiscoveredPlace{}
	for t := range s.services[key] {
		place := byZone[t.Zone]
		if place == nil {
			place = &compiler.DiscoveredPlace{Zone: t.Zone, Alive: s.life.alive(key, t.Zone)}
			byZone[t.Zone] = place
		}
		describe(place, t)
	}
	all := make([]compiler.DiscoveredPlace, 0, len(byZone))
	for _, zone := range slices.Sorted(maps.Keys(byZone)) {
		place := byZone[zone]
		slices.Sort(place.Versions)
		slices.Sort(place.Identities)
		all = append(all, *place)
	}
	if len(all) == 1 {
		all[0].Alive = true // there is no other zone to go to: health is the zone's own business
	}
	return all
}

// describe adds what one trait says of its place. Where pods disagree about selector, protocol or port, as for the
// moment of a change they do, the greater text counts, so that the order does not.
func describe(place *compiler.DiscoveredPlace, t trait) {
	if t.Version != "" && !slices.Contains(place.Versions, t.Version) {
		place.Versions = append(place.Versions, t.Version)
	}
	if t.Identity != "" && !slices.Contains(place.Identities, t.Identity) {
		place.Identities = append(place.Identities, t.Identity)
	}
	if t.Selector != "" && strings.Compare(t.Selector, labelsText(place.Selector)) > 0 {
		place.Selector = parseLabels(t.Selector)
	}
	for _, port := range parsePorts(t.Ports) {
		if place.Ports == nil {
			place.Ports = map[int32]string{}
		}
		place.Ports[port.Port] = max(place.Ports[port.Port], port.Protocol)
	}
	for port, target := range parseTargets(t.Ports) {
		if place.Targets == nil {
			place.Targets = map[int32]int32{}
		}
		place.Targets[port] = max(place.Targets[port], target)
	}
}

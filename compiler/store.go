package compiler

import (
	"slices"
	"strings"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// store holds all resources by how far they reach, and what changed since the last deltas. What a
// zone has is never stored: it is all that reaches it.
type store struct {
	byReach map[key]map[string]*feedpb.Resource
	// before holds resources as they were, nil for those that were not there.
	before map[key]map[string]*feedpb.Resource
	// zonesBefore holds the zones of a reach as they were.
	zonesBefore map[key][]string
	// zones are those that something reaches now.
	zones func(reach key) []string
}

func newStore() *store {
	return &store{
		byReach:     make(map[key]map[string]*feedpb.Resource),
		before:      make(map[key]map[string]*feedpb.Resource),
		zonesBefore: make(map[key][]string),
	}
}

// put enters what a unit made.
func (s *store) put(r *rendering) {
	all := s.byReach[r.reach]
	if all == nil {
		all = make(map[string]*feedpb.Resource)
		s.byReach[r.reach] = all
	}
	for _, resource := range r.resources {
		s.remember(r.reach, resource.Name)
		all[resource.Name] = resource
	}
}

// remove takes out what a unit made before and makes no more.
func (s *store) remove(before, after *rendering) {
	for _, resource := range before.resources {
		if after != nil && after.reach == before.reach && after.has(resource.Name) {
			continue
		}
		s.remember(before.reach, resource.Name)
		delete(s.byReach[before.reach], resource.Name)
	}
}

func (r *rendering) has(name string) bool {
	return slices.ContainsFunc(r.resources, func(resource *feedpb.Resource) bool { return resource.Name == name })
}

// remember keeps a resource as it was before the first change.
func (s *store) remember(reach key, name string) {
	changed := s.before[reach]
	if changed == nil {
		changed = make(map[string]*feedpb.Resource)
		s.before[reach] = changed
	}
	if _, known := changed[name]; !known {
		changed[name] = s.byReach[reach][name]
	}
}

// moved is told that something reaches other zones than before.
func (s *store) moved(reach key, before []string) {
	if _, known := s.zonesBefore[reach]; !known {
		s.zonesBefore[reach] = before
	}
}

// deltas returns what changed since the last call, by zone.
func (s *store) deltas() map[string]*ZoneDelta {
	all := make(map[string]*ZoneDelta)
	for reach := range s.zonesBefore {
		if s.before[reach] == nil {
			s.before[reach] = nil
		}
	}
	for reach := range s.before {
		s.deltasOf(reach, all)
	}
	for _, delta := range all {
		slices.SortFunc(delta.Upserts, byName)
		slices.Sort(delta.Removed)
		delta.settle()
	}
	clear(s.before)
	clear(s.zonesBefore)
	return all
}

func (s *store) deltasOf(reach key, all map[string]*ZoneDelta) {
	now := s.zones(reach)
	before, moved := s.zonesBefore[reach]
	if !moved {
		before = now
	}
	for _, zone := range now {
		if slices.Contains(before, zone) {
			s.changes(reach, zone, all)
		} else {
			s.arrivals(reach, zone, all)
		}
	}
	for _, zone := range before {
		if !slices.Contains(now, zone) {
			s.departures(reach, zone, all)
		}
	}
}

// changes adds what is new, different or gone in a zone.
func (s *store) changes(reach key, zone string, all map[string]*ZoneDelta) {
	for name, before := range s.before[reach] {
		after := s.byReach[reach][name]
		switch {
		case after == nil && before != nil:
			deltaOf(all, zone).remove(name)
		case after != nil && (before == nil || before.Version != after.Version):
			deltaOf(all, zone).upsert(after)
		}
	}
}

// arrivals adds everything, in a zone that had nothing of it.
func (s *store) arrivals(reach key, zone string, all map[string]*ZoneDelta) {
	for _, resource := range s.byReach[reach] {
		deltaOf(all, zone).upsert(resource)
	}
}

// departures takes everything from a zone that had it.
func (s *store) departures(reach key, zone string, all map[string]*ZoneDelta) {
	for name := range s.byReach[reach] {
		if before, changed := s.before[reach][name]; !changed || before != nil {
			deltaOf(all, zone).remove(name)
		}
	}
	for name, before := range s.before[reach] {
		if before != nil && s.byReach[reach][name] == nil {
			deltaOf(all, zone).remove(name)
		}
	}
}

func deltaOf(all map[string]*ZoneDelta, zone string) *ZoneDelta {
	delta := all[zone]
	if delta == nil {
		delta = &ZoneDelta{}
		all[zone] = delta
	}
	return delta
}

func (d *ZoneDelta) upsert(r *feedpb.Resource) { d.Upserts = append(d.Upserts, r) }
func (d *ZoneDelta) remove(name string)        { d.Removed = append(d.Removed, name) }

// settle leaves out removals of what came back by another way. Both lists are sorted.
func (d *ZoneDelta) settle() {
	if len(d.Upserts) == 0 {
		return
	}
	d.Removed = slices.DeleteFunc(d.Removed, func(name string) bool {
		_, back := slices.BinarySearchFunc(d.Upserts, name, func(r *feedpb.Resource, n string) int { return strings.Compare(r.Name, n) })
		return back
	})
}

// zone is everything that reaches a zone.
func (s *store) zone(name string) []*feedpb.Resource {
	var all []*feedpb.Resource
	for reach, resources := range s.byReach {
		if !slices.Contains(s.zones(reach), name) {
			continue
		}
		for _, resource := range resources {
			all = append(all, resource)
		}
	}
	slices.SortFunc(all, byName)
	return all
}

package inventory

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/isthmus-mesh/isthmus/compiler"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// shapes are the shapes of all services: who has which traits, and what was last told of each.
type shapes struct {
	now      func() time.Time
	services map[serviceKey]map[trait]*presence
	touched  map[serviceKey]bool
	told     map[serviceKey]*compiler.Discovered
	life     life
}

// presence is how many workloads have a trait, and since when none has.
type presence struct {
	count int
	since time.Time
}

// newShapes begins with what was saved, as traits that lost their last workload just now.
func newShapes(now func() time.Time, saved []savedService) *shapes {
	s := &shapes{
		now: now, services: map[serviceKey]map[trait]*presence{},
		touched: map[serviceKey]bool{}, told: map[serviceKey]*compiler.Discovered{}, life: newLife(),
	}
	for _, service := range saved {
		for _, t := range service.Traits {
			s.presence(service.serviceKey, t).since = now()
		}
	}
	return s
}

// presence finds or makes the record of a trait.
func (s *shapes) presence(key serviceKey, t trait) *presence {
	if s.services[key] == nil {
		s.services[key] = map[trait]*presence{}
	}
	p := s.services[key][t]
	if p == nil {
		p = &presence{}
		s.services[key][t] = p
		s.touched[key] = true
	}
	return p
}

// add counts a workload in. Gateways make no service.
func (s *shapes) add(zone string, w *feedpb.Workload) {
	if w.Role == roleGateway {
		return
	}
	p := s.presence(keyOf(w), traitOf(zone, w))
	if s.life.add(zone, w, 1) || p.count == 0 {
		s.touched[keyOf(w)] = true
	}
	p.count++
}

// remove counts a workload out; its traits linger.
func (s *shapes) remove(zone string, w *feedpb.Workload) {
	if w.Role == roleGateway {
		return
	}
	p := s.presence(keyOf(w), traitOf(zone, w))
	if p.count--; p.count == 0 {
		p.since = s.now()
		s.touched[keyOf(w)] = true
	}
	if s.life.add(zone, w, -1) {
		s.touched[keyOf(w)] = true
	}
}

// expire forgets traits without a workload for longer than linger, in zones that tell.
func (s *shapes) expire(linger time.Duration, tells func(zone string) bool) bool {
	end := s.now().Add(-linger)
	return s.forget(func(t trait, p *presence) bool {
		return p.count == 0 && p.since.Before(end) && tells(t.Zone)
	})
}

// drop forgets all traits of a zone.
func (s *shapes) drop(zone string) bool {
	return s.forget(func(t trait, _ *presence) bool { return t.Zone == zone })
}

func (s *shapes) forget(ripe func(trait, *presence) bool) bool {
	for key, traits := range s.services {
		for t, p := range traits {
			if ripe(t, p) {
				delete(traits, t)
				s.touched[key] = true
			}
		}
	}
	return s.dirty()
}

func (s *shapes) dirty() bool { return len(s.touched) > 0 }

// take returns the shapes that changed since the last call, nil for services that are gone.
func (s *shapes) take() map[serviceKey]*compiler.Discovered {
	changed := map[serviceKey]*compiler.Discovered{}
	for key := range s.touched {
		shape := s.shape(key)
		if reflect.DeepEqual(shape, s.told[key]) {
			continue
		}
		changed[key], s.told[key] = shape, shape
		if shape == nil {
			delete(s.told, key)
			delete(s.services, key)
		}
	}
	clear(s.touched)
	return changed
}

// shape merges the traits of a service; nil when it has none. Where ports disagree about the
// protocol, the one of most workloads counts, then the first by name.
func (s *shapes) shape(key serviceKey) *compiler.Discovered {
	traits := s.services[key]
	if len(traits) == 0 {
		return nil
	}
	versions, zones, labels := map[string]bool{}, map[string]bool{}, map[string]bool{}
	votes := map[int32]map[string]int{}
	for t, p := range traits {
		zones[t.Zone], labels[t.Labels] = true, true
		if t.Version != "" {
			versions[t.Version] = true
		}
		for _, port := range parsePorts(t.Ports) {
			if votes[port.Port] == nil {
				votes[port.Port] = map[string]int{}
			}
			votes[port.Port][port.Protocol] += p.count
		}
	}
	d := &compiler.Discovered{
		Workspace: key.Workspace, Name: key.Name, Ports: elect(votes),
		Versions: slices.Sorted(maps.Keys(versions)), Zones: slices.Sorted(maps.Keys(zones)), Places: s.places(key),
	}
	for _, text := range slices.Sorted(maps.Keys(labels)) {
		d.Labels = append(d.Labels, parseLabels(text))
	}
	return d
}

// roleGateway marks workloads that bring requests in from outside and serve nothing of their own.
const roleGateway = "gateway"

// elect settles the protocol of every port.
func elect(votes map[int32]map[string]int) []compiler.DiscoveredPort {
	var ports []compiler.DiscoveredPort
	for _, number := range slices.Sorted(maps.Keys(votes)) {
		winner, most := "", -1
		for _, protocol := range slices.Sorted(maps.Keys(votes[number])) {
			if n := votes[number][protocol]; n > most {
				winner, most = protocol, n
			}
		}
		ports = append(ports, compiler.DiscoveredPort{Port: number, Protocol: winner})
	}
	return ports
}

// Take returns the changes of shape, of edges and of gateways since the last call, for the compiler.
func (i *Inventory) Take() []compiler.Change {
	i.mu.Lock()
	defer i.mu.Unlock()
	var changes []compiler.Change
	for key, shape := range i.shapes.take() {
		change := compiler.Change{Kind: compiler.KindDiscovered, Namespace: key.Workspace, Name: key.Name}
		if shape != nil {
			change.Object = shape
		}
		changes = append(changes, change)
		i.views.services[key] = true
	}
	changes = append(changes, i.edges.changes(compiler.KindEdges, func(zone string) *compiler.Edges { return i.zones[zone].reachable() })...)
	return append(changes, i.gateways.changes(compiler.KindDiscoveredGateways, func(zone string) *compiler.DiscoveredGateways { return i.zones[zone].entered() })...)
}

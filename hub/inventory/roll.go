package inventory

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/isthmus-mesh/isthmus/compiler"
)

// edgeMemory is how long an edge that is away stays on its zone's roll: far longer than a reboot or the
// repair of a line. One that comes back later is on it again at once.
const edgeMemory = 24 * time.Hour

// roll is which edges each zone has, for its agents and for one another.
type roll struct {
	touched map[string]bool
	told    map[string]*compiler.Edges
}

func newRoll() roll { return roll{map[string]bool{}, map[string]*compiler.Edges{}} }

// take returns what changed since the last call; nil for zones without an edge that can be reached.
func (r roll) take(zones map[string]*zoneRecord) map[string]*compiler.Edges {
	changed := map[string]*compiler.Edges{}
	for zone := range r.touched {
		edges := zones[zone].reachable()
		if reflect.DeepEqual(edges, r.told[zone]) {
			continue
		}
		changed[zone], r.told[zone] = edges, edges
		if edges == nil {
			delete(r.told, zone)
		}
	}
	clear(r.touched)
	return changed
}

// reachable are the edges that say where agents find them; nil without any.
func (z *zoneRecord) reachable() *compiler.Edges {
	if z == nil {
		return nil
	}
	all := &compiler.Edges{}
	for _, name := range slices.Sorted(maps.Keys(z.edges)) {
		if e := z.edges[name]; len(e.advertise) > 0 {
			all.Edges = append(all.Edges, compiler.Edge{Name: name, Addresses: e.advertise})
		}
	}
	if all.Edges == nil {
		return nil
	}
	return all
}

// enrol notes that a zone's edges may have changed.
func (i *Inventory) enrol(zone string) {
	i.roll.touched[zone] = true
	i.notify()
}

// strike takes edges off the roll that have been away for too long, and reports of which zones.
func (i *Inventory) strike() (zones []string) {
	end := i.config.Now().Add(-edgeMemory)
	for name, z := range i.zones {
		before := len(z.edges)
		maps.DeleteFunc(z.edges, func(_ string, e *edgeRecord) bool { return !e.connected && e.gone.Before(end) })
		if len(z.edges) < before {
			z.forgetCluster()
			i.enrol(name)
			zones = append(zones, name)
		}
	}
	return zones
}

// savedZone is a zone's roll on disk.
type savedZone struct {
	Name  string      `json:"name"`
	Edges []savedEdge `json:"edges"`
}

type savedEdge struct {
	Name      string   `json:"name"`
	Advertise []string `json:"advertise"`
}

// savedZones are the rolls to save, sorted; edges that nobody can be sent to are not worth it.
func (i *Inventory) savedZones() (all []savedZone) {
	for _, name := range slices.Sorted(maps.Keys(i.zones)) {
		edges := i.zones[name].reachable()
		if edges == nil {
			continue
		}
		zone := savedZone{Name: name}
		for _, e := range edges.Edges {
			zone.Edges = append(zone.Edges, savedEdge{e.Name, e.Addresses})
		}
		all = append(all, zone)
	}
	return all
}

// restore puts saved edges on the roll, as edges that went away just now.
func (i *Inventory) restore(all []savedZone) {
	for _, zone := range all {
		for _, saved := range zone.Edges {
			e := i.zone(zone.Name).edge(saved.Name)
			e.advertise, e.gone = saved.Advertise, i.config.Now()
		}
		i.roll.touched[zone.Name] = true
	}
}

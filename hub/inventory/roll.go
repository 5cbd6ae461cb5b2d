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

// roll is something that the compiler is told of each zone.
type roll[T any] struct {
	touched map[string]bool
	told    map[string]*T
}

func newRoll[T any]() roll[T] { return roll[T]{map[string]bool{}, map[string]*T{}} }

// take returns what changed since the last call; nil for zones of which there is nothing to tell.
func (r roll[T]) take(now func(zone string) *T) map[string]*T {
	changed := map[string]*T{}
	for zone := range r.touched {
		fresh := now(zone)
		if reflect.DeepEqual(fresh, r.told[zone]) {
			continue
		}
		changed[zone], r.told[zone] = fresh, fresh
		if fresh == nil {
			delete(r.told, zone)
		}
	}
	clear(r.touched)
	return changed
}

// changes are what was taken, for the compiler.
func (r roll[T]) changes(kind string, now func(zone string) *T) (all []compiler.Change) {
	for zone, fresh := range r.take(now) {
		change := compiler.Change{Kind: kind, Name: zone}
		if fresh != nil {
			change.Object = fresh
		}
		all = append(all, change)
	}
	return all
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

// enrol notes that a zone's edges or gateways may have changed.
func (i *Inventory) enrol(zone string) {
	i.edges.touched[zone], i.gateways.touched[zone] = true, true
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

// savedZone is what is told of a zone on disk.
type savedZone struct {
	Name     string         `json:"name"`
	Edges    []savedEdge    `json:"edges"`
	Gateways []savedGateway `json:"gateways,omitempty"`
}

type savedEdge struct {
	Name      string   `json:"name"`
	Advertise []string `json:"advertise"`
}

// savedZones are the zones to save, sorted; edges that nobody can be sent to are not worth it.
func (i *Inventory) savedZones() (all []savedZone) {
	for _, name := range slices.Sorted(maps.Keys(i.zones)) {
		zone := savedZone{Name: name, Gateways: i.zones[name].savedGateways()}
		if edges := i.zones[name].reachable(); edges != nil {
			for _, e := range edges.Edges {
				zone.Edges = append(zone.Edges, savedEdge{e.Name, e.Addresses})
			}
		}
		if len(zone.Edges)+len(zone.Gateways) > 0 {
			all = append(all, zone)
		}
	}
	return all
}

// restore takes what was saved. The edges went away just now.
func (i *Inventory) restore(all []savedZone) {
	for _, saved := range all {
		z := i.zone(saved.Name)
		for _, e := range saved.Edges {
			z.edge(e.Name).advertise, z.edge(e.Name).gone = e.Advertise, i.config.Now()
		}
		z.restoreGateways(saved.Gateways)
		i.enrol(saved.Name)
	}
}

package compiler

import (
	"slices"
	"strings"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// Options of a Compiler.
type Options struct {
	// TrustDomain of the mesh, for instance "isthmus.local".
	TrustDomain string
}

// Compiler turns objects into the configuration of every zone. The zero value is not usable.
type Compiler struct {
	graph     *graph
	resources *store
	// statuses that changed since the last Output.
	statuses []*node
}

// New makes an empty Compiler.
func New(options Options) *Compiler {
	c := &Compiler{resources: newStore()}
	compute := computations(options)
	c.graph = newGraph(func(w *work) any { return compute[w.node.key.unit](w) }, c.changed)
	c.resources.zones = func(reach key) []string {
		if n := c.graph.nodes[reach]; n != nil {
			zones, _ := n.value.([]string)
			return zones
		}
		return nil
	}
	return c
}

// Apply takes changes, all of one storage revision, and returns what follows from them. Of several
// changes of one object the last one counts.
func (c *Compiler) Apply(revision int64, changes []Change) *Output {
	c.graph.expect(len(changes))
	for _, change := range changes {
		c.put(change)
	}
	c.graph.settle()
	return &Output{Revision: revision, Zones: c.resources.deltas(), Statuses: c.takeStatuses()}
}

// put enters one change. Objects of kinds the compiler does not know are no business of its.
func (c *Compiler) put(change Change) {
	k := inputKey(change.Kind, change.Namespace, change.Name)
	if change.Object == nil {
		if c.graph.nodes[k] != nil {
			c.graph.put(k, nil)
		}
		return
	}
	if takes(change.Kind, change.Object) {
		c.graph.put(k, change.Object)
	}
}

// changed is told by the graph of every new value of a unit.
func (c *Compiler) changed(n *node, old any) {
	switch n.key.unit {
	case unitStatus:
		c.statuses = append(c.statuses, n)
	case unitReach:
		zones, _ := old.([]string)
		c.resources.moved(n.key, zones)
	default:
		before, _ := old.(*rendering)
		after, _ := n.value.(*rendering)
		for r := before; r != nil; r = r.more {
			c.resources.remove(r, after.at(r.reach))
		}
		for r := after; r != nil; r = r.more {
			c.resources.put(r)
		}
	}
}

// takeStatuses returns the statuses that changed, of objects that exist.
func (c *Compiler) takeStatuses() []ObjectStatus {
	slices.SortFunc(c.statuses, func(a, b *node) int { return a.key.compare(b.key) })
	all := make([]ObjectStatus, 0, len(c.statuses))
	for _, n := range c.statuses {
		if s, is := n.value.(*ObjectStatus); is {
			all = append(all, *s)
		}
	}
	c.statuses = nil
	return all
}

// Zone returns the whole configuration of a zone, sorted by name. The resources are shared: do not
// change them.
func (c *Compiler) Zone(name string) []*feedpb.Resource { return c.resources.zone(name) }

// Status returns the status of an object; false if there is no such object, or nothing to say of it.
func (c *Compiler) Status(kind, namespace, name string) (ObjectStatus, bool) {
	n := c.graph.nodes[statusKey(kind, namespace, name)]
	if n == nil {
		return ObjectStatus{}, false
	}
	s, is := n.value.(*ObjectStatus)
	if !is {
		return ObjectStatus{}, false
	}
	return *s, true
}

func byName(a, b *feedpb.Resource) int { return strings.Compare(a.Name, b.Name) }

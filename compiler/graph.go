package compiler

import (
	"cmp"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
)

// key names a unit of work. Which fields are used depends on the unit, see unit.go.
type key struct {
	unit                  unit
	kind, namespace, name string
	part                  string
}

func (k key) compare(other key) int {
	return cmp.Or(
		cmp.Compare(k.unit, other.unit),
		strings.Compare(k.kind, other.kind),
		strings.Compare(k.namespace, other.namespace),
		strings.Compare(k.name, other.name),
		strings.Compare(k.part, other.part),
	)
}

// node is a unit of work with its result.
type node struct {
	key   key
	value any
	// members are the messages other nodes sent to this one, in order of the senders if sorted.
	members []member
	sorted  bool
	// sent is what this node sent when it was computed last.
	sent []message
	// readers used the value. A reading counts only while the reader's turn is the same: a
	// reader that was computed again registers again.
	readers []reading
	// kept is how many readings were valid when they were last counted.
	kept  int
	turn  uint32
	dirty bool
}

type message struct {
	to   *node
	what any
}

// member is a message at its receiver.
type member struct {
	from *node
	// index is its place among all that the sender sent.
	index int
	what  any
}

func (m member) compare(other member) int {
	if m.from == other.from {
		return m.index - other.index
	}
	return m.from.key.compare(other.from.key)
}

type reading struct {
	by   *node
	turn uint32
}

func (r reading) valid() bool { return r.by.turn == r.turn }

// graph computes units and remembers what depends on what.
//
// Invariants:
//  1. A unit reads only values of, and sends only to, units that come before or after it in the
//     order of unit.go respectively. So one pass in that order settles everything.
//  2. A value, a message and a member are never changed once made.
//  3. A node's value is a function of its members and of the values it reads.
type graph struct {
	nodes map[key]*node
	queue [units][]*node
	// at is the unit being computed.
	at unit
	// compute gives a node its value.
	compute func(*work) any
	// changed is told of every new value.
	changed func(n *node, old any)
	// repeated counts computations of nodes computed before, since the last sweep.
	repeated int
	// now is the work at hand; one is reused for all.
	now work
}

func newGraph(compute func(*work) any, changed func(*node, any)) *graph {
	return &graph{nodes: make(map[key]*node), compute: compute, changed: changed}
}

// expect makes room for the nodes that so many objects need, if there are none yet.
func (g *graph) expect(objects int) {
	const nodes = 8 // an object, on average
	if len(g.nodes) == 0 {
		g.nodes = make(map[key]*node, nodes*objects)
	}
}

// node finds or makes the node of a key.
func (g *graph) node(k key) *node {
	n := g.nodes[k]
	if n == nil {
		n = &node{key: k}
		g.nodes[k] = n
	}
	return n
}

// put sets the value of an input, and has what it sends computed.
func (g *graph) put(k key, value any) {
	n := g.node(k)
	n.value = value
	g.wake(n)
	g.mark(n)
}

// settle computes everything that is not up to date.
func (g *graph) settle() {
	for g.at = 0; g.at < units; g.at++ {
		for i := 0; i < len(g.queue[g.at]); i++ {
			g.evaluate(g.queue[g.at][i])
		}
		g.queue[g.at] = g.queue[g.at][:0]
	}
	g.at = 0
	if g.repeated > len(g.nodes)+1024 {
		g.sweep()
	}
}

func (g *graph) evaluate(n *node) {
	n.dirty = false
	n.turn++
	if n.turn > 1 {
		g.repeated++
	}
	w := &g.now
	w.graph, w.node, w.sent = g, n, w.sent[:0]
	value := g.compute(w)
	g.deliver(n, w.sent)
	if old := n.value; !same(old, value) {
		n.value = value
		g.wake(n)
		g.changed(n, old)
	}
	if n.idle() {
		g.forget(n)
	}
}

// mark has a node computed.
func (g *graph) mark(n *node) {
	if n.dirty {
		return
	}
	if n.key.unit < g.at || n.key.unit == g.at && g.at != unitInput {
		panic(fmt.Sprintf("compiler: unit %d changes unit %d, which comes before it", g.at, n.key.unit))
	}
	n.dirty = true
	g.queue[n.key.unit] = append(g.queue[n.key.unit], n)
}

// wake marks those who read the value of a node.
func (g *graph) wake(n *node) {
	for _, r := range n.readers {
		if r.valid() {
			g.mark(r.by)
		}
	}
	n.readers, n.kept = nil, 0
}

// read registers that a node uses the value of another.
func (g *graph) read(by, n *node) {
	if n.key.unit >= by.key.unit {
		panic(fmt.Sprintf("compiler: unit %d reads unit %d, which comes after it", by.key.unit, n.key.unit))
	}
	if len(n.readers) >= 2*n.kept+16 {
		n.readers = slices.DeleteFunc(n.readers, func(r reading) bool { return !r.valid() })
		n.kept = len(n.readers)
	}
	n.readers = append(n.readers, reading{by, by.turn})
}

// deliver replaces what a node sent before; what stays the same is not touched.
func (g *graph) deliver(n *node, sent []message) {
	old, changed := n.sent, len(n.sent) != len(sent)
	for i := range max(len(old), len(sent)) {
		if i < len(old) && i < len(sent) && old[i].to == sent[i].to && same(old[i].what, sent[i].what) {
			continue
		}
		changed = true
		if i < len(old) {
			old[i].to.drop(n, i)
			g.mark(old[i].to)
		}
		if i < len(sent) {
			sent[i].to.add(member{n, i, sent[i].what})
			g.mark(sent[i].to)
		}
	}
	if changed {
		n.sent = slices.Clone(sent)
	}
}

// add takes a message in.
func (n *node) add(m member) {
	n.sorted = len(n.members) == 0 || n.sorted && n.members[len(n.members)-1].compare(m) < 0
	n.members = append(n.members, m)
}

// drop takes a message out.
func (n *node) drop(from *node, index int) {
	i := slices.IndexFunc(n.members, func(m member) bool { return m.from == from && m.index == index })
	n.members = slices.Delete(n.members, i, i+1)
}

// idle says that a node means nothing any more.
func (n *node) idle() bool {
	return n.value == nil && len(n.members) == 0 && len(n.sent) == 0 &&
		!slices.ContainsFunc(n.readers, reading.valid)
}

// forget drops an idle node; its turn ends what it read.
func (g *graph) forget(n *node) {
	n.turn++
	delete(g.nodes, n.key)
}

// sweep drops nodes that only stood for something somebody looked for in vain.
func (g *graph) sweep() {
	for _, n := range g.nodes {
		if !n.dirty && n.idle() {
			g.forget(n)
		}
	}
	g.repeated = 0
}

// same compares values and messages. One that knows better than reflection how to compare itself
// has a method same.
func same(a, b any) bool {
	if x, ok := a.(interface{ same(any) bool }); ok {
		return x.same(b)
	}
	return reflect.DeepEqual(a, b)
}

// work is one computation of a node: what it reads and sends.
type work struct {
	graph *graph
	node  *node
	sent  []message
}

// send makes what a member of another node, which comes later.
func (w *work) send(to key, what any) {
	w.sent = append(w.sent, message{w.graph.node(to), what})
}

// members goes through what was sent to this node, ordered by sender.
func (w *work) members() iter.Seq[any] {
	n := w.node
	n.sort()
	return func(yield func(any) bool) {
		for _, m := range n.members {
			if !yield(m.what) {
				return
			}
		}
	}
}

func (n *node) sort() {
	if !n.sorted {
		slices.SortFunc(n.members, member.compare)
		n.sorted = true
	}
}

// value reads the value of another node; the zero value if there is none.
func value[T any](w *work, k key) T {
	n := w.graph.node(k)
	w.graph.read(w.node, n)
	v, _ := n.value.(T)
	return v
}

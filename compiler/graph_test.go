package compiler

import (
	"strings"
	"testing"
)

// testGraph has inputs (strings), a unit that joins what inputs send it, and one that reads that.
func testGraph(computed *int) *graph {
	return newGraph(func(w *work) any {
		*computed++
		switch w.node.key.unit {
		case unitInput:
			if text, is := w.node.value.(string); is {
				w.send(key{unit: unitService, name: "joined"}, text)
				w.send(key{unit: unitStatus, name: "reader"}, "exists")
			}
			return w.node.value
		case unitService:
			var all []string
			for m := range w.members() {
				all = append(all, m.(string))
			}
			if all == nil {
				return nil
			}
			return strings.Join(all, "+")
		default:
			if len(w.node.members) == 0 {
				return nil
			}
			return "read " + value[string](w, key{unit: unitService, name: "joined"})
		}
	}, func(*node, any) {})
}

func TestGraphComputesOnlyWhatChanged(t *testing.T) {
	var computed int
	g := testGraph(&computed)
	put := func(name string, value any) { g.put(key{unit: unitInput, name: name}, value); g.settle() }
	reader := func() any { return g.node(key{unit: unitStatus, name: "reader"}).value }

	put("b", "2")
	put("a", "1")
	if got := reader(); got != "read 1+2" {
		t.Fatalf("members in the order of senders: got %v", got)
	}
	computed = 0
	put("a", "1")
	if computed != 1 {
		t.Errorf("an unchanged input had %d units computed, want itself only", computed)
	}
	put("a", nil)
	if got := reader(); got != "read 2" {
		t.Errorf("after deletion: got %v", got)
	}
	put("b", nil)
	if len(g.nodes) != 0 {
		t.Errorf("%d nodes are left of nothing: %v", len(g.nodes), g.nodes)
	}
}

func TestGraphForgetsWhatNobodyReads(t *testing.T) {
	g := newGraph(func(w *work) any {
		if w.node.key.unit == unitInput {
			w.send(key{unit: unitStatus, name: "reader"}, w.node.value)
			return w.node.value
		}
		for m := range w.members() {
			value[any](w, key{unit: unitService, name: m.(string)}) // nobody has it
		}
		return nil
	}, func(*node, any) {})
	for i := range 5000 {
		g.put(key{unit: unitInput, name: "input"}, strings.Repeat("x", i%1000))
		g.settle()
	}
	if len(g.nodes) > 2000 {
		t.Errorf("%d nodes for one input: what was looked for in vain is never forgotten", len(g.nodes))
	}
}

func TestGraphRefusesToGoBack(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a unit read one that comes after it, and nobody minded")
		}
	}()
	g := newGraph(func(w *work) any { return value[any](w, key{unit: unitStatus}) }, func(*node, any) {})
	g.put(key{unit: unitInput}, "x")
	g.settle()
}

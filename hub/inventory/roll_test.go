package inventory_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/compiler"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// roll takes what is new and returns the names of dc1's edges; told is false when nothing was said of them.
func (w *world) roll() (names []string, told bool) {
	w.t.Helper()
	for _, change := range w.Take() {
		if change.Kind != compiler.KindEdges {
			continue
		}
		told = true
		if all, is := change.Object.(*compiler.Edges); is {
			for _, e := range all.Edges {
				names = append(names, e.Name)
			}
		}
	}
	return names, told
}

func (w *world) rollIs(want ...string) {
	w.t.Helper()
	if got, told := w.roll(); !told || !reflect.DeepEqual(got, want) {
		w.t.Errorf("the compiler hears of %v (told: %v), want %v", got, told, want)
	}
}

func TestZoneKnowsItsEdges(t *testing.T) {
	w := newWorld(t)
	w.connect("edge-2")
	w.connect("edge-1")
	w.EdgeConnected("dc1", "cluster", &feedpb.ConfigureRequest_Hello{Zone: "dc1", Edge: "cluster"}) // agents cannot reach it
	w.rollIs("edge-1", "edge-2")
	w.EdgeGone("dc1", "edge-2")
	w.connect("edge-2")
	if got, told := w.roll(); told {
		t.Errorf("told of %v although nothing changed", got)
	}
}

func TestRestartKeepsEdges(t *testing.T) {
	w := newWorld(t)
	w.connect("edge-1")
	w.connect("edge-2")
	w.Take()
	if err := w.Save(7); err != nil {
		t.Fatal(err)
	}
	w.open()
	w.rollIs("edge-1", "edge-2")
}

func TestEdgeAwayForLongIsForgotten(t *testing.T) {
	w := newWorld(t)
	w.connect("edge-1")
	w.connect("edge-2")
	w.EdgeGone("dc1", "edge-2")
	w.Take()
	w.advance(23 * time.Hour)
	if got, told := w.roll(); told {
		t.Errorf("after 23 hours the compiler hears of %v", got)
	}
	before := w.events.zones
	w.advance(2 * time.Hour)
	w.rollIs("edge-1")
	if got := w.Edges("dc1").Addresses; !reflect.DeepEqual(got, []string{"edge-1:15012"}) || w.events.zones == before {
		t.Errorf("addresses %v, told %d times", got, w.events.zones-before)
	}
}

func TestDeletedZoneLosesItsEdges(t *testing.T) {
	w := newWorld(t)
	w.connect("edge-1")
	w.Take()
	w.Forget("dc1")
	w.rollIs()
}

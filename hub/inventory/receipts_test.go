package inventory_test

import (
	"testing"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/hub/inventory"
)

func TestFloorIsTheSlowestThatIsConnected(t *testing.T) {
	w := newWorld(t)
	w.floor("nobody there", 0, false)
	w.EdgeConnected("dc1", "edge-1", &feedpb.ConfigureRequest_Hello{})
	w.floor("before the first report", 0, false)
	w.connect("edge-1", workload("a", "v1"), workload("b", "v1"))
	w.Accepted("dc1", "edge-1", 9)
	w.floor("an edge without proxies", 9, true)
	w.receipt(9, "a")
	w.receipt(7, "b")
	w.floor("b is behind", 7, true)
	w.receipt(9, "b")
	w.floor("all current", 9, true)
	w.receipt(5, "c")
	w.Report("dc1", "edge-1", &feedpb.ReportRequest{Receipts: []*feedpb.Receipt{{Proxies: []string{"c"}, Gone: true}}})
	w.floor("c came and went", 9, true)
	w.EdgeGone("dc1", "edge-1")
	w.floor("the edge went away", 0, false)
}

func TestProxiesOfAnAbsentEdgeDoNotCount(t *testing.T) {
	w := newWorld(t)
	w.connect("edge-1")
	w.connect("edge-2")
	w.Accepted("dc1", "edge-1", 9)
	w.Accepted("dc1", "edge-2", 9)
	w.receipt(3, "slow")
	w.EdgeGone("dc1", "edge-1")
	w.floor("its edge went away", 9, true)
}

func TestReconnectedEdgeProvesItselfAnew(t *testing.T) {
	w := newWorld(t)
	w.connect("edge-1")
	w.Accepted("dc1", "edge-1", 9)
	w.EdgeGone("dc1", "edge-1")
	w.connect("edge-1")
	w.floor("reconnected", 0, true)
}

func TestProgressNamesWhoIsBehind(t *testing.T) {
	w := newWorld(t)
	w.connect("edge-1")
	w.Accepted("dc1", "edge-1", 9)
	w.receipt(9, "a")
	w.receipt(7, "c", "b")
	got := w.Progress("dc1", 9)
	want := inventory.Progress{Edges: 1, Proxies: 3, Behind: 2, FirstBehind: "b"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := w.Progress("dc1", 10); got.EdgeBehind != "edge-1" {
		t.Errorf("edge behind is %q, want edge-1", got.EdgeBehind)
	}
}

func TestResetForgetsProxiesNotMentioned(t *testing.T) {
	w := newWorld(t)
	w.connect("edge-1")
	w.Accepted("dc1", "edge-1", 9)
	w.receipt(1, "gone-meanwhile")
	w.Report("dc1", "edge-1", &feedpb.ReportRequest{Reset_: true})
	w.floor("after a complete report", 9, true)
}

func (w *world) receipt(revision int64, proxies ...string) {
	w.Report("dc1", "edge-1", &feedpb.ReportRequest{Receipts: []*feedpb.Receipt{{Revision: revision, Proxies: proxies}}})
}

func (w *world) floor(when string, want int64, wantOK bool) {
	w.t.Helper()
	if got, ok := w.Floor("dc1"); got != want || ok != wantOK {
		w.t.Errorf("%s: floor is %d, %v; want %d, %v", when, got, ok, want, wantOK)
	}
}

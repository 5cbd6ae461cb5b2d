package inventory_test

import (
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

func (w *world) wantPods(want uint32, known bool) {
	w.t.Helper()
	said, ok := w.Cluster("dc1")
	if got := said.GetPods(); got != want || ok != known {
		w.t.Errorf("the cluster has %d pods (known: %v), want %d (%v)", got, ok, want, known)
	}
}

func TestClusterIsWhatTheLeadingEdgeSays(t *testing.T) {
	w := newWorld(t)
	w.wantPods(0, false)
	w.Report("dc1", "edge-1", &feedpb.ReportRequest{Reset_: true, Extent: feedpb.ReportRequest_ZONE, Cluster: &feedpb.Cluster{Pods: 1}})
	w.Report("dc1", "edge-2", &feedpb.ReportRequest{Reset_: true, Extent: feedpb.ReportRequest_UNKNOWN})
	w.wantPods(1, true)
	before := w.events.zones
	w.Report("dc1", "edge-1", &feedpb.ReportRequest{Cluster: &feedpb.Cluster{Pods: 1}})
	if w.events.zones != before {
		t.Error("the same again is news")
	}
	w.Report("dc1", "edge-2", &feedpb.ReportRequest{Extent: feedpb.ReportRequest_ZONE, Cluster: &feedpb.Cluster{Pods: 2}})
	w.wantPods(2, true)
	if w.events.zones != before+1 {
		t.Errorf("told %d times of a change", w.events.zones-before)
	}
}

func TestClusterIsForgottenWithItsEdge(t *testing.T) {
	w := newWorld(t)
	w.connect("edge-1")
	w.Report("dc1", "edge-1", &feedpb.ReportRequest{Cluster: &feedpb.Cluster{Pods: 1}})
	w.EdgeGone("dc1", "edge-1")
	w.Sweep()
	w.wantPods(1, true)
	w.time = w.time.Add(48 * time.Hour)
	w.Sweep()
	w.wantPods(0, true)
}

func TestZoneOfMachinesIsNoCluster(t *testing.T) {
	w := newWorld(t)
	w.Report("dc1", "edge-1", &feedpb.ReportRequest{Cluster: &feedpb.Cluster{Pods: 1}})
	w.connect("edge-1")
	w.wantPods(0, true)
}

package inventory_test

import (
	"reflect"
	"testing"

	viewv1 "github.com/isthmus-mesh/isthmus/api/view/v1alpha1"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

func TestViewsShowWhatEdgesReport(t *testing.T) {
	w := newWorld(t)
	sick := workload("reviews-2", "v2")
	sick.Healthy, sick.Reason = false, "connection refused"
	w.connect("edge-1", workload("reviews-1", "v1"), sick)
	w.Published("dc1", 9)
	w.Accepted("dc1", "edge-1", 9)
	w.receipt(9, "reviews-1")
	w.receipt(8, "reviews-2")
	w.reject(rejection("reviews-2"), &feedpb.Rejection{Proxy: "reviews-2", Message: "port in use"})
	w.taken()
	w.Show()

	w.health("reviews-1", viewv1.WorkloadStatus{Health: "Healthy", Connected: true})
	w.health("reviews-2", viewv1.WorkloadStatus{Health: "Unhealthy", Connected: true, Reason: "connection refused"})
	if got, want := w.proxies["shop/reviews-2"].Status, (viewv1.ProxyStatus{Connected: true, Revision: 8,
		Rejections: []viewv1.Rejection{{Message: "port in use"}, {Object: "HTTPRoute/shop/reviews", Message: "bad regex"}}}); !reflect.DeepEqual(got, want) {
		t.Errorf("proxy: %+v, want %+v", got, want)
	}
	if got, want := w.services["shop/reviews"].Status, (viewv1.DiscoveredServiceStatus{Workloads: 2, Healthy: 1}); got != want {
		t.Errorf("service: %+v, want %+v", got, want)
	}
	if got, want := w.revisions["dc1"].Status, (viewv1.RevisionStatus{Edge: 9, Proxies: 2, Current: 1}); got != want {
		t.Errorf("revision: %+v, want %+v", got, want)
	}
}

func TestAbsentEdgeKeepsItsWorkloadsInView(t *testing.T) {
	w := newWorld(t)
	w.connect("edge-1", workload("reviews-1", "v1"))
	w.taken()
	w.EdgeGone("dc1", "edge-1")
	w.Show()
	w.health("reviews-1", viewv1.WorkloadStatus{Health: "Unknown", Reason: "edge edge-1 is not connected to the hub"})
	w.Report("dc1", "edge-1", &feedpb.ReportRequest{Reset_: true})
	w.Show()
	if names := w.workloads.names(); len(names) != 0 {
		t.Errorf("still shown: %v", names)
	}
}

func TestWorkloadMovesToTheEdgeItIsConnectedTo(t *testing.T) {
	w := newWorld(t)
	w.connect("edge-1", workload("reviews-1", "v1"))
	away := workload("reviews-1", "v1")
	away.Connected = false
	w.connect("edge-2", away)
	w.Show()
	w.health("reviews-1", viewv1.WorkloadStatus{Health: "Healthy", Connected: true}) // edge-1 has it
	w.Report("dc1", "edge-2", &feedpb.ReportRequest{Workloads: []*feedpb.Workload{workload("reviews-1", "v1")}})
	w.Report("dc1", "edge-1", &feedpb.ReportRequest{WorkloadsGone: []string{"reviews-1"}})
	w.EdgeGone("dc1", "edge-1")
	w.Show()
	w.health("reviews-1", viewv1.WorkloadStatus{Health: "Healthy", Connected: true}) // edge-2 has it
}

func TestEdgesSayWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	w.connect("edge-1")
	w.connect("edge-2")
	full := &feedpb.Condition{Type: "Save/roster.json", Reason: "StateNotSaved", Message: "no space"}
	before := w.events.zones
	w.Report("dc1", "edge-1", &feedpb.ReportRequest{ConditionsSet: true, Conditions: []*feedpb.Condition{full}})
	w.Report("dc1", "edge-1", &feedpb.ReportRequest{ConditionsSet: true, Conditions: []*feedpb.Condition{full}})
	if got := w.events.zones - before; got != 1 {
		t.Errorf("told %d times, want once", got)
	}
	w.Refused("dc1", "edge-2", 9, "broken")
	got := w.Edges("dc1")
	if want := []string{"edge-1:15012", "edge-2:15012"}; !reflect.DeepEqual(got.Addresses, want) {
		t.Errorf("addresses %v, want %v", got.Addresses, want)
	}
	if len(got.Conditions) != 2 || got.Conditions[0].Message != "edge edge-2: revision 9: broken" ||
		got.Conditions[1].Type != "StateNotSaved" || got.Conditions[1].Message != "edge edge-1: no space" {
		t.Errorf("conditions %v", got.Conditions)
	}
	w.Accepted("dc1", "edge-2", 10)
	if got := w.Edges("dc1"); len(got.Conditions) != 1 {
		t.Errorf("an accepted revision leaves %v", got.Conditions)
	}
}

func (w *world) health(name string, want viewv1.WorkloadStatus) {
	w.t.Helper()
	view := w.workloads["shop/"+name]
	if view == nil {
		w.t.Fatalf("workload %s is not shown", name)
	}
	if view.Status != want {
		w.t.Errorf("workload %s: %+v, want %+v", name, view.Status, want)
	}
}

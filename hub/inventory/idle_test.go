package inventory_test

import (
	"testing"

	"github.com/isthmus-mesh/isthmus/compiler"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// idle has the edge of the cluster prod-1 tell of shop/reviews without pods, or of nothing.
func (w *world) idle(is bool) {
	said := &feedpb.Cluster{Services: 1}
	if is {
		said.Idle = []*feedpb.IdleService{{
			Workspace: "shop", Service: "reviews", Ports: []*feedpb.Port{{Port: 9080, Protocol: "http"}}, Selector: map[string]string{"app": "reviews"},
		}}
	}
	w.Report("prod-1", "edge-1", &feedpb.ReportRequest{Cluster: said})
}

// place is what was told of a service in a zone; nil for nothing.
func place(d *compiler.Discovered, zone string) *compiler.DiscoveredPlace {
	if d == nil {
		return nil
	}
	for _, p := range d.Places {
		if p.Zone == zone {
			return &p
		}
	}
	return nil
}

// A Kubernetes Service without pods is a service, in a place that is not alive, for as long as it is there.
func TestServiceWithoutPods(t *testing.T) {
	w := newWorld(t)
	w.EdgeConnected("prod-1", "edge-1", &feedpb.ConfigureRequest_Hello{})
	w.Report("prod-1", "edge-1", &feedpb.ReportRequest{Reset_: true, Extent: feedpb.ReportRequest_ZONE})
	w.idle(true)
	w.connect("edge-1", workload("reviews-1", "v1"))
	found := w.taken()["shop/reviews"]
	p := place(found, "prod-1")
	if p == nil || p.Alive || p.Selector["app"] != "reviews" || p.Ports[9080] != "http" || !place(found, "dc1").Alive {
		t.Fatalf("it is known as %+v", found)
	}
	w.Show()
	if shown := w.services["shop/reviews"]; shown == nil || shown.Status.Workloads != 1 || len(shown.Spec.Zones) != 2 {
		t.Errorf("it is shown as %+v", shown)
	}
	pod := workload("reviews-2", "v2")
	w.Report("prod-1", "edge-1", &feedpb.ReportRequest{Workloads: []*feedpb.Workload{pod}})
	w.idle(false)
	if p := place(w.taken()["shop/reviews"], "prod-1"); p == nil || !p.Alive {
		t.Errorf("with a pod its place is %+v", p)
	}
	w.Report("prod-1", "edge-1", &feedpb.ReportRequest{WorkloadsGone: []string{pod.Name}})
	w.idle(true)
	w.advance(2 * linger)
	if p := place(w.taken()["shop/reviews"], "prod-1"); p == nil || p.Alive || len(p.Versions) > 0 {
		t.Errorf("without one again, for long, its place is %+v", p)
	}
	w.idle(false)
	w.advance(2 * linger)
	if found := w.taken()["shop/reviews"]; place(found, "prod-1") != nil || place(found, "dc1") == nil {
		t.Errorf("without the Service it is %+v", found)
	}
}

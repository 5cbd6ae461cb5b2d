package inventory_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/compiler"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// found has an edge tell of a cluster with a gateway at addresses.
func (w *world) found(addresses ...string) {
	w.Report("dc1", "edge-1", &feedpb.ReportRequest{Cluster: &feedpb.Cluster{Gateways: []*feedpb.ClusterGateway{
		{Namespace: "gw", Name: "eastwest", Port: 15443, Selector: map[string]string{"app": "gw"}, Addresses: addresses},
	}}})
}

// wantGateways looks whether the compiler hears of one gateway with these addresses, or without any of none.
func (w *world) wantGateways(addresses ...string) {
	w.t.Helper()
	var want any
	if len(addresses) > 0 {
		want = &compiler.DiscoveredGateways{Gateways: []compiler.DiscoveredGateway{
			{Namespace: "gw", Name: "eastwest", Port: 15443, Selector: map[string]string{"app": "gw"}, Addresses: addresses},
		}}
	}
	if got := w.gateways(); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		w.t.Errorf("the compiler hears of %v, want %v", got, want)
	}
}

func (w *world) gateways() (all []any) {
	for _, change := range w.Take() {
		if change.Kind == compiler.KindDiscoveredGateways {
			all = append(all, change.Object)
		}
	}
	return all
}

func TestGatewaysAreThoseHeardOfLast(t *testing.T) {
	w := newWorld(t)
	w.found("10.0.0.1:15443", "10.0.0.2:15443")
	w.wantGateways("10.0.0.1:15443", "10.0.0.2:15443")
	w.found("10.0.0.2:15443")
	w.wantGateways("10.0.0.2:15443")
	w.found("10.0.0.2:15443")
	if got := w.gateways(); len(got) > 0 {
		t.Errorf("the same again is news: %v", got)
	}
	w.Report("dc1", "edge-1", &feedpb.ReportRequest{Cluster: &feedpb.Cluster{}})
	w.wantGateways()
}

// Requests of other zones need no edge: its absence closes nothing.
func TestGatewaysOutliveTheirEdgeAndTheHub(t *testing.T) {
	w := newWorld(t)
	w.EdgeConnected("dc1", "edge-1", &feedpb.ConfigureRequest_Hello{})
	w.found("10.0.0.1:15443")
	w.wantGateways("10.0.0.1:15443")
	w.EdgeGone("dc1", "edge-1")
	w.advance(48 * time.Hour)
	if got := w.gateways(); len(got) > 0 {
		t.Errorf("two days later the compiler hears of %v", got)
	}
	if err := w.Save(7); err != nil {
		t.Fatal(err)
	}
	w.open()
	w.wantGateways("10.0.0.1:15443")
	w.Forget("dc1")
	w.wantGateways()
}

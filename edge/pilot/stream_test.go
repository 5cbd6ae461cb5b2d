package pilot

import (
	"maps"
	"strings"
	"testing"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	networking "istio.io/api/networking/v1alpha3"
	v3 "istio.io/istio/pilot/pkg/xds/v3"

	"github.com/isthmus-mesh/isthmus/identity"
)

func TestReceipts(t *testing.T) {
	w := shop(t)
	reviews, ratings := sidecar("reviews", "reviews-1", "10.0.0.1"), sidecar("ratings", "ratings-1", "10.0.0.2")
	c := w.connect(reviews)
	w.connect(ratings)
	w.awaitReceipt("reviews-1", 1)
	w.awaitReceipt("ratings-1", 1)
	hold := make(chan struct{})
	c.change(func() {
		c.pick = func(r *discovery.DeltaDiscoveryResponse) string {
			if r.TypeUrl == v3.RouteType {
				<-hold
			}
			return ""
		}
	})
	w.apply(2, reviewsRoute(t, "1", "/a.*"))
	w.awaitReceipt("ratings-1", 2)
	if got := w.pilot.Receipts()["reviews-1"]; got != 1 {
		t.Errorf("revision %d has a receipt before it is acknowledged", got)
	}
	close(hold)
	w.awaitReceipt("reviews-1", 2)
	t.Run("a revision that concerns nobody", func(t *testing.T) {
		before := c.counts()
		w.apply(3, pack(t, "ServiceEntry/bank/teller", "1", &networking.ServiceEntry{
			Hosts: []string{"teller.bank.mesh"}, Addresses: []string{"240.0.0.9"}, Resolution: networking.ServiceEntry_STATIC,
			Ports: []*networking.ServicePort{{Number: 80, Name: "main", Protocol: "HTTP"}}, Location: networking.ServiceEntry_MESH_INTERNAL,
		}))
		w.awaitReceipt("reviews-1", 3)
		w.awaitReceipt("ratings-1", 3)
		if after := c.counts(); !maps.Equal(before, after) {
			t.Errorf("something was sent: %v, then %v", before, after)
		}
	})
	t.Run("gone", func(t *testing.T) {
		c.cancel()
		w.events.await(t, "gone", func() bool { return len(w.events.gone) == 1 && w.events.gone[0] == "reviews-1" })
		if _, ok := w.pilot.Receipts()["reviews-1"]; ok {
			t.Error("a proxy that is gone has a receipt")
		}
	})
}

func TestUnchangedResourcesAreNotSentAgain(t *testing.T) {
	w := shop(t)
	c := w.connect(sidecar("reviews", "reviews-1", "10.0.0.1"))
	w.awaitReceipt("reviews-1", 1)
	before := c.counts()
	w.apply(2, reviewsRoute(t, "1", "/a.*"))
	w.awaitReceipt("reviews-1", 2)
	after := c.counts()
	if after[v3.RouteType] != before[v3.RouteType]+1 || after[v3.ListenerType] != before[v3.ListenerType] || after[v3.ClusterType] != before[v3.ClusterType] {
		t.Errorf("a route changed; sent %v, then %v", before, after)
	}
}

func TestResume(t *testing.T) {
	w := shop(t)
	reviews := sidecar("reviews", "reviews-1", "10.0.0.1")
	c := w.connect(reviews)
	w.awaitReceipt("reviews-1", 1)
	again := func(w *world) (sent map[string]int) {
		c.cancel()
		before := c.counts()
		c.t = w.t
		w.dial(c, identity.Workload(trustDomain, "shop", "reviews"), w.pilot.NodeID(reviews))
		c.await("an answer of each type", func() bool {
			return c.heard[v3.ClusterType] > 0 && c.heard[v3.ListenerType] > 0
		})
		sent = c.counts()
		for k, n := range before {
			if sent[k] -= n; sent[k] == 0 {
				delete(sent, k)
			}
		}
		return sent
	}
	t.Run("nothing changed", func(t *testing.T) {
		w.events.record(func() { delete(w.events.receipts, "reviews-1") })
		if sent := again(w); len(sent) > 0 {
			t.Errorf("sent %v", sent)
		}
		w.awaitReceipt("reviews-1", 1)
	})
	t.Run("a route changed meanwhile", func(t *testing.T) {
		c.cancel()
		w.apply(2, reviewsRoute(t, "1", "/a.*"))
		sent := again(w)
		w.awaitReceipt("reviews-1", 2)
		sent = c.counts()
		if c.await("the new route", func() bool { return strings.Contains(c.text(v3.RouteType, "9080"), "/a.*") }); sent[v3.ListenerType] > 4 {
			t.Errorf("sent %v", sent)
		}
	})
	t.Run("at another edge", func(t *testing.T) {
		c.cancel()
		w.stop()
		other := shop(t)
		other.apply(2, reviewsRoute(t, "1", "/a.*"))
		if sent := again(other); len(sent) > 0 {
			t.Errorf("sent %v", sent)
		}
		other.awaitReceipt("reviews-1", 2)
	})
}

func TestChangedClusterGetsItsEndpointsAgain(t *testing.T) {
	w := shop(t)
	c := w.connect(sidecar("reviews", "reviews-1", "10.0.0.1"))
	w.awaitReceipt("reviews-1", 1)
	before := c.counts()
	w.apply(2, pack(t, "DestinationRule/shop/ratings", "1", &networking.DestinationRule{
		Host: "ratings.shop.mesh", TrafficPolicy: &networking.TrafficPolicy{ConnectionPool: &networking.ConnectionPoolSettings{
			Tcp: &networking.ConnectionPoolSettings_TCPSettings{MaxConnections: 7},
		}},
	}))
	w.awaitReceipt("reviews-1", 2)
	after := c.counts()
	if after[v3.ClusterType] != before[v3.ClusterType]+1 || after[v3.EndpointType] != before[v3.EndpointType]+1 {
		t.Errorf("Envoy waits for the endpoints of a changed cluster; sent %v, then %v", before, after)
	}
}

func TestRoutesForConnectionsReachListeners(t *testing.T) {
	w := shop(t)
	w.apply(2, shopService(t, "ledger", "240.0.0.3", 9070, "TCP"))
	c := w.connect(sidecar("reviews", "reviews-1", "10.0.0.1"))
	w.awaitReceipt("reviews-1", 2)
	route := pack(t, "VirtualService/shop/ledger", "1", &networking.VirtualService{
		Hosts: []string{"ledger.shop.mesh"},
		Tcp: []*networking.TCPRoute{{Route: []*networking.RouteDestination{{Destination: &networking.Destination{
			Host: "ratings.shop.mesh", Port: &networking.PortSelector{Number: 9080},
		}}}}},
	})
	w.apply(3, route)
	w.awaitReceipt("reviews-1", 3)
	const listener = "240.0.0.3_9070"
	c.await("the new route", func() bool { return strings.Contains(c.text(v3.ListenerType, listener), ratingsCluster) })
	check(t, w.pilot.Apply(4, nil, []string{"VirtualService/shop/ledger"}))
	w.awaitReceipt("reviews-1", 4)
	c.await("the old route", func() bool { return !strings.Contains(c.text(v3.ListenerType, listener), ratingsCluster) })
}

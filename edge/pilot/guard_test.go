package pilot

import (
	"strings"
	"testing"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	networking "istio.io/api/networking/v1alpha3"
	v3 "istio.io/istio/pilot/pkg/xds/v3"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// fallOver is what Istio 1.31 panics over: failover by labels between localities of a service that is looked up by DNS.
func fallOver(t testing.TB, version string, by ...string) *feedpb.Resource {
	return pack(t, "DestinationRule/shop/ledger", version, &networking.DestinationRule{
		Host: "ledger.shop.mesh",
		TrafficPolicy: &networking.TrafficPolicy{
			OutlierDetection: &networking.OutlierDetection{},
			LoadBalancer: &networking.LoadBalancerSettings{
				LocalityLbSetting: &networking.LocalityLoadBalancerSetting{FailoverPriority: by},
			},
		},
	})
}

// twoPlaces is a service in two localities that is looked up by DNS.
func twoPlaces(t testing.TB) *feedpb.Resource {
	return pack(t, "ServiceEntry/shop/ledger", "1", &networking.ServiceEntry{
		Hosts: []string{"ledger.shop.mesh"}, Location: networking.ServiceEntry_MESH_INTERNAL, Resolution: networking.ServiceEntry_DNS,
		Ports: []*networking.ServicePort{{Number: 9080, Name: "main", Protocol: "HTTP"}},
		Endpoints: []*networking.WorkloadEntry{
			{Address: "one.example", Locality: "dc1/a", Labels: map[string]string{"place": "one"}},
			{Address: "two.example", Locality: "dc2/b", Labels: map[string]string{"place": "two"}},
		},
	})
}

func TestWhatIstioPanicsOverAloneGoesBack(t *testing.T) {
	w := shop(t)
	reviews, ratings := sidecar("reviews", "reviews-1", "10.0.0.1"), sidecar("ratings", "ratings-1", "10.0.0.2")
	c, other := newClient(t), newClient(t)
	w.dial(c, idOf(reviews), w.pilot.NodeID(reviews))
	w.dial(other, idOf(ratings), w.pilot.NodeID(ratings))
	w.apply(2, twoPlaces(t), fallOver(t, "good"))
	w.awaitReceipt("reviews-1", 2)
	w.awaitReceipt("ratings-1", 2)

	c.pick, other.pick = c.leadsSomewhere, other.leadsSomewhere
	w.apply(3, fallOver(t, "bad", "place"), shopService(t, "new", "240.0.0.9", 9080, "HTTP"), hostRoute(t, "new", "1", "three"),
		pack(t, "Sidecar/shop/default", "2", &networking.Sidecar{Egress: []*networking.IstioEgressListener{{Hosts: []string{"shop/*"}}}}))
	for name, c := range map[string]*client{"reviews-1": c, "ratings-1": other} {
		w.awaitReceipt(name, 3)
		c.await(name+" has what came with it", func() bool {
			return strings.Contains(c.text(v3.RouteType, "9080"), "three") && c.text(v3.ClusterType, newCluster) != ""
		})
	}
	if all := w.pilot.Rejections(); len(all) != 1 || all[0].Resource != "DestinationRule/shop/ledger" || all[0].Version != "bad" ||
		!strings.Contains(all[0].Message, "by a fault of its own") {
		t.Fatalf("rejections %v", all)
	}
	t.Run("a proxy that starts later", func(t *testing.T) {
		late := newClient(t)
		reviews2 := sidecar("reviews", "reviews-2", "10.0.0.4")
		w.pilot.SetWorkloads([]Workload{reviews2}, nil)
		w.dial(late, idOf(reviews2), w.pilot.NodeID(reviews2))
		w.awaitReceipt("reviews-2", 3)
	})
	t.Run("mended", func(t *testing.T) {
		w.apply(4, fallOver(t, "better"))
		w.awaitReceipt("reviews-1", 4)
		w.awaitReceipt("reviews-2", 4)
		if all := w.pilot.Rejections(); len(all) != 0 {
			t.Errorf("rejections %v", all)
		}
	})
}

const newCluster = "outbound|9080||new.shop.mesh"

// leadsSomewhere finds a route of which the cluster is missing. It is for [client.pick].
func (c *client) leadsSomewhere(resp *discovery.DeltaDiscoveryResponse) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range resp.Resources {
		if resp.TypeUrl == v3.RouteType && strings.Contains(string(r.Resource.Value), newCluster) && c.has[v3.ClusterType][newCluster] == nil {
			c.t.Errorf("a route leads to %s, which is not there", newCluster)
		}
	}
	return ""
}

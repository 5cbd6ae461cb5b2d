package pilot

import (
	"fmt"
	"strings"
	"testing"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/prototext"
	networking "istio.io/api/networking/v1alpha3"
	security "istio.io/api/security/v1beta1"
	v3 "istio.io/istio/pilot/pkg/xds/v3"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// picky is a proxy that rejects responses which hold a text, in the given words.
func picky(typeURL, text, words string) func(*discovery.DeltaDiscoveryResponse) string {
	return func(resp *discovery.DeltaDiscoveryResponse) string {
		for _, r := range resp.Resources {
			m, err := r.Resource.UnmarshalNew()
			if err == nil && resp.TypeUrl == typeURL && strings.Contains(prototext.Format(m), text) {
				return words
			}
		}
		return ""
	}
}

// hostRoute is a route for ratings that adds a header.
func hostRoute(t testing.TB, name, version, header string) *feedpb.Resource {
	return pack(t, "VirtualService/shop/"+name, version, &networking.VirtualService{
		Hosts: []string{name + ".shop.mesh"},
		Http: []*networking.HTTPRoute{{
			Headers: &networking.Headers{Request: &networking.Headers_HeaderOperations{Set: map[string]string{"x-" + name: header}}},
			Route: []*networking.HTTPRouteDestination{{Destination: &networking.Destination{
				Host: name + ".shop.mesh", Port: &networking.PortSelector{Number: 9080},
			}}},
		}},
	})
}

const re2 = "regex '/bad-.*' RE2 program size of 9000 > max program size of 100 set for the error level threshold"

func TestRejectedResourceAloneGoesBack(t *testing.T) {
	w := shop(t)
	reviews, ratings := sidecar("reviews", "reviews-1", "10.0.0.1"), sidecar("ratings", "ratings-1", "10.0.0.2")
	c, other := newClient(t), newClient(t)
	c.pick, other.pick = picky(v3.RouteType, "/bad-.*", re2), picky(v3.RouteType, "/bad-.*", re2)
	w.dial(c, idOf(reviews), w.pilot.NodeID(reviews))
	w.dial(other, idOf(ratings), w.pilot.NodeID(ratings))
	w.apply(2, reviewsRoute(t, "good", "/good.*"))
	w.awaitReceipt("reviews-1", 2)
	w.awaitReceipt("ratings-1", 2)

	w.apply(3, reviewsRoute(t, "bad", "/bad-.*"), hostRoute(t, "ratings", "1", "three"))
	w.awaitReceipt("reviews-1", 3)
	w.awaitReceipt("ratings-1", 3)
	route := func(c *client) string { c.mu.Lock(); defer c.mu.Unlock(); return c.text(v3.RouteType, "9080") }
	for _, c := range []*client{c, other} {
		if got := route(c); !strings.Contains(got, "/good.*") || !strings.Contains(got, "three") {
			t.Errorf("the innocent route must arrive and the good one stay: %s", got)
		}
	}
	rejections := w.pilot.Rejections()
	if len(rejections) != 1 || rejections[0].Resource != "VirtualService/shop/reviews" || rejections[0].Version != "bad" ||
		rejections[0].Message != re2 || rejections[0].Origins[0].Name != "origin-of-VirtualService/shop/reviews" {
		t.Fatalf("rejections %v", rejections)
	}
	t.Run("others keep changing", func(t *testing.T) {
		w.apply(4, hostRoute(t, "ratings", "2", "four"))
		w.awaitReceipt("reviews-1", 4)
		if got := route(c); !strings.Contains(got, "four") {
			t.Error(got)
		}
	})
	t.Run("a proxy that starts later", func(t *testing.T) {
		late := newClient(t)
		late.pick = picky(v3.RouteType, "/bad-.*", re2)
		reviews2 := sidecar("reviews", "reviews-2", "10.0.0.4")
		w.pilot.SetWorkloads([]Workload{reviews2}, nil)
		w.dial(late, idOf(reviews2), w.pilot.NodeID(reviews2))
		w.awaitReceipt("reviews-2", 4)
		if got := route(late); !strings.Contains(got, "/good.*") {
			t.Error(got)
		}
	})
	t.Run("the hub sends the same again", func(t *testing.T) {
		w.apply(5, reviewsRoute(t, "bad", "/bad-.*"))
		w.awaitReceipt("reviews-1", 5)
		if got := route(c); !strings.Contains(got, "/good.*") || len(w.pilot.Rejections()) != 1 {
			t.Error(got)
		}
	})
	t.Run("restart", func(t *testing.T) {
		w.stop()
		again := worldIn(t, w.dir)
		again.pilot.SetWorkloads([]Workload{reviews, ratings}, nil)
		again.apply(5, shopScope(t), shopService(t, "reviews", "240.0.0.1", 9080, "HTTP"),
			shopService(t, "ratings", "240.0.0.2", 9080, "HTTP"), reviewsRoute(t, "bad", "/bad-.*"))
		c := newClient(t)
		c.pick = picky(v3.RouteType, "/bad-.*", re2)
		again.dial(c, idOf(reviews), again.pilot.NodeID(reviews))
		again.awaitReceipt("reviews-1", 5)
		if got := route(c); !strings.Contains(got, "/good.*") {
			t.Errorf("the last good version is forgotten: %s", got)
		}
		if len(again.pilot.Rejections()) != 1 {
			t.Error("the rejection is forgotten")
		}
		again.apply(6, reviewsRoute(t, "better", "/better.*"))
		again.awaitReceipt("reviews-1", 6)
		if got := route(c); !strings.Contains(got, "/better.*") {
			t.Error(got)
		}
		again.events.await(t, "resolved", func() bool {
			n := len(again.events.rejected)
			return n == 1 && again.events.rejected[0].Resolved && again.events.rejected[0].Version == "bad"
		})
		if len(again.pilot.Rejections()) != 0 {
			t.Error("a resolved rejection is listed")
		}
	})
}

func TestRemovingARejectedResourceResolvesIt(t *testing.T) {
	w := shop(t)
	reviews := sidecar("reviews", "reviews-1", "10.0.0.1")
	c := newClient(t)
	c.pick = picky(v3.RouteType, "/bad-.*", re2)
	w.dial(c, idOf(reviews), w.pilot.NodeID(reviews))
	w.awaitReceipt("reviews-1", 1)
	w.apply(2, reviewsRoute(t, "bad", "/bad-.*"))
	w.awaitReceipt("reviews-1", 2)
	check(t, w.pilot.Apply(3, nil, []string{"VirtualService/shop/reviews"}))
	w.events.await(t, "resolved", func() bool { return len(w.events.rejected) == 2 && w.events.rejected[1].Resolved })
	w.awaitReceipt("reviews-1", 3)
}

func TestCulpritAmongManyIsFoundByTrial(t *testing.T) {
	w := newWorld(t)
	reviews := sidecar("reviews", "reviews-1", "10.0.0.1")
	w.pilot.SetWorkloads([]Workload{reviews}, nil)
	scope := &networking.Sidecar{Egress: []*networking.IstioEgressListener{{Hosts: []string{"shop/*"}}}}
	first, second := []*feedpb.Resource{pack(t, "Sidecar/shop/default", "1", scope)}, []*feedpb.Resource{}
	const many = 6
	for i := range many {
		name := fmt.Sprintf("s%d", i)
		first = append(first, shopService(t, name, fmt.Sprintf("240.0.0.%d", i+1), 9080, "HTTP"), hostRoute(t, name, "1", "old"))
		value := "new"
		if i == 3 {
			value = "poison"
		}
		second = append(second, hostRoute(t, name, "2", value))
	}
	w.apply(1, first...)
	c := newClient(t)
	c.pick = picky(v3.RouteType, "poison", "something is wrong")
	w.dial(c, idOf(reviews), w.pilot.NodeID(reviews))
	w.awaitReceipt("reviews-1", 1)
	w.apply(2, second...)
	w.awaitReceipt("reviews-1", 2)
	rejections := w.pilot.Rejections()
	if len(rejections) != 1 || rejections[0].Resource != "VirtualService/shop/s3" {
		t.Fatalf("rejections %v", rejections)
	}
	c.await("the innocent", func() bool {
		return strings.Count(c.text(v3.RouteType, "9080"), `"new"`) == many-1 && strings.Count(c.text(v3.RouteType, "9080"), `"old"`) == 1
	})
}

func TestWhatWasServedBeforeStandsIn(t *testing.T) {
	w := shop(t)
	reviews, ratings := sidecar("reviews", "reviews-1", "10.0.0.1"), sidecar("ratings", "ratings-1", "10.0.0.2")
	c, slow := newClient(t), newClient(t)
	c.pick = picky(v3.RouteType, "/bad-.*", re2)
	hold := make(chan struct{})
	slow.pick = func(r *discovery.DeltaDiscoveryResponse) string {
		if r.TypeUrl == v3.RouteType {
			<-hold
		}
		return ""
	}
	w.dial(c, idOf(reviews), w.pilot.NodeID(reviews))
	w.dial(slow, idOf(ratings), w.pilot.NodeID(ratings))
	defer close(hold)
	w.awaitReceipt("reviews-1", 1)
	w.apply(2, reviewsRoute(t, "good", "/good.*")) // the slow one never acknowledges it
	w.awaitReceipt("reviews-1", 2)
	w.apply(3, reviewsRoute(t, "bad", "/bad-.*"))
	w.awaitReceipt("reviews-1", 3)
	c.await("the former route", func() bool { return strings.Contains(c.text(v3.RouteType, "9080"), "/good.*") })
	w.apply(4, reviewsRoute(t, "bad too", "/bad-.*too"))
	w.awaitReceipt("reviews-1", 4)
	c.await("the former route again", func() bool { return strings.Contains(c.text(v3.RouteType, "9080"), "/good.*") })
}

func TestMachinesOwnFaultIsNoResources(t *testing.T) {
	w := shop(t)
	reviews := sidecar("reviews", "reviews-1", "10.0.0.1")
	c := newClient(t)
	c.pick = picky(v3.RouteType, "/a.*", "cannot bind '0.0.0.0:80': Permission denied")
	w.dial(c, idOf(reviews), w.pilot.NodeID(reviews))
	w.awaitReceipt("reviews-1", 1)
	w.apply(2, reviewsRoute(t, "1", "/a.*"))
	w.events.await(t, "report", func() bool { return len(w.events.rejected) == 1 })
	if r := w.events.rejected[0]; r.Resource != "" || r.Proxy != "reviews-1" || r.Message == "" {
		t.Errorf("%v", r)
	}
	if w.pilot.Receipts()["reviews-1"] != 1 {
		t.Error("a receipt for what was rejected")
	}
	w.apply(3, reviewsRoute(t, "2", "/b.*"))
	w.awaitReceipt("reviews-1", 3)
	w.events.await(t, "relief", func() bool { return len(w.events.rejected) == 2 && w.events.rejected[1].Resolved })
}

func TestRejectedFirstVersionIsNotServed(t *testing.T) {
	w := shop(t)
	reviews := sidecar("reviews", "reviews-1", "10.0.0.1")
	w.apply(2, reviewsRoute(t, "bad", "/bad-.*"))
	c := newClient(t)
	c.pick = picky(v3.RouteType, "/bad-.*", re2)
	w.dial(c, idOf(reviews), w.pilot.NodeID(reviews))
	w.awaitReceipt("reviews-1", 2)
	if r := w.pilot.Rejections(); len(r) != 1 || r[0].Resource != "VirtualService/shop/reviews" {
		t.Errorf("rejections %v", r)
	}
}

// refuseOnce rejects the next response of a type.
func refuseOnce(typeURL, words string) func(*discovery.DeltaDiscoveryResponse) string {
	left := 1
	return func(resp *discovery.DeltaDiscoveryResponse) string {
		if resp.TypeUrl != typeURL || left == 0 {
			return ""
		}
		left--
		return words
	}
}

func TestAcceptedPolicyIsNotRemoved(t *testing.T) {
	w := shop(t)
	ratings, reviews := sidecar("ratings", "ratings-1", "10.0.0.2"), sidecar("reviews", "reviews-1", "10.0.0.1")
	other := w.connect(ratings)
	w.apply(2, closedPolicy(t))
	w.awaitReceipt("ratings-1", 2)
	c := newClient(t)
	c.pick = picky(v3.ListenerType, "/peculiar", "bad path /peculiar")
	w.dial(c, idOf(reviews), w.pilot.NodeID(reviews))
	w.events.await(t, "rejection", func() bool { return len(w.events.rejected) == 1 })
	if r := w.events.rejected[0]; r.Resource != "AuthorizationPolicy/shop/closed" {
		t.Errorf("%v", r)
	}
	w.apply(3, hostRoute(t, "ratings", "1", "x"))
	w.awaitReceipt("ratings-1", 3)
	if got := w.pilot.Receipts()["reviews-1"]; got != 0 {
		t.Errorf("the proxy that rejected the policy has revision %d", got)
	}
	other.await("the policy", func() bool { return strings.Contains(other.text(v3.ListenerType, "virtualInbound"), "/peculiar") })
	t.Run("restart", func(t *testing.T) {
		w.stop()
		again := worldIn(t, w.dir)
		again.pilot.SetWorkloads([]Workload{ratings}, nil)
		again.apply(3, shopScope(t), shopService(t, "ratings", "240.0.0.2", 9080, "HTTP"), closedPolicy(t))
		c := again.connect(ratings)
		again.awaitReceipt("ratings-1", 3)
		c.await("the policy", func() bool { return strings.Contains(c.text(v3.ListenerType, "virtualInbound"), "/peculiar") })
	})
}

func closedPolicy(t testing.TB) *feedpb.Resource {
	return pack(t, "AuthorizationPolicy/shop/closed", "1", &security.AuthorizationPolicy{Rules: []*security.Rule{{
		To: []*security.Rule_To{{Operation: &security.Operation{Paths: []string{"/peculiar"}}}},
	}}})
}

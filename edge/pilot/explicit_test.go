package pilot

import (
	"maps"
	"slices"
	"strings"
	"testing"

	v3 "istio.io/istio/pilot/pkg/xds/v3"
)

func TestExplicitCapture(t *testing.T) {
	w := shop(t)
	workload := explicitWorkload()
	w.pilot.SetWorkloads([]Workload{workload}, nil)
	w.apply(2, shopService(t, "ledger", "240.0.0.3", 9070, "TCP"), reviewsRoute(t, "1", "/a.*"))
	c := w.connect(workload)
	w.awaitReceipt(workload.Name, 2)
	c.mu.Lock()
	defer c.mu.Unlock()
	got := slices.Sorted(maps.Keys(c.has[v3.ListenerType]))
	want := []string{"127.1.0.9_15080", "127.1.0.9_19070", "127.1.0.9_19081", "127.1.0.9_9080"}
	if !slices.Equal(got, want) {
		t.Fatalf("listeners %v, want %v", got, want)
	}
	contains := func(typeURL, name string, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if !strings.Contains(c.text(typeURL, name), text) {
				t.Errorf("%s has no %s: %s", name, text, c.text(typeURL, name))
			}
		}
	}
	contains(v3.ListenerType, "127.1.0.9_19070", "port_value:19070", `cluster:"outbound|9070||ledger.shop.mesh"`)
	contains(v3.ListenerType, "127.1.0.9_19081", "port_value:19081", `route_config_name:"upstream/127.1.0.9_19081"`)
	contains(v3.RouteType, "upstream/127.1.0.9_19081", `domains:"*"`, `host_rewrite_literal:"ratings.shop.mesh:9080"`, "outbound|9080||ratings.shop.mesh")
	contains(v3.ListenerType, "127.1.0.9_9080", "require_client_certificate:{value:true}")
	contains(v3.ClusterType, "inbound|9080||", "port_value:19080")
	contains(v3.RouteType, "15080", `domains:"ratings.shop:9080"`, `domains:"ratings:9080"`, `domains:"reviews"`, "/a.*")
}

func TestExplicitUpstreamFollowsItsService(t *testing.T) {
	w := shop(t)
	workload := explicitWorkload()
	w.pilot.SetWorkloads([]Workload{workload}, nil)
	c := w.connect(workload)
	w.awaitReceipt(workload.Name, 1)
	c.await("no listener without service", func() bool {
		return c.has[v3.ListenerType]["127.1.0.9_19081"] != nil && c.has[v3.ListenerType]["127.1.0.9_19070"] == nil
	})
	w.apply(2, shopService(t, "ledger", "240.0.0.3", 9070, "TCP"))
	w.awaitReceipt(workload.Name, 2)
	c.await("a listener with it", func() bool { return c.has[v3.ListenerType]["127.1.0.9_19070"] != nil })
	check(t, w.pilot.Apply(3, nil, []string{"ServiceEntry/shop/ledger"}))
	w.awaitReceipt(workload.Name, 3)
	c.await("none again", func() bool { return c.has[v3.ListenerType]["127.1.0.9_19070"] == nil })
}

func TestExplicitWithoutHTTPProxyListensForNone(t *testing.T) {
	w := shop(t)
	workload := explicitWorkload()
	workload.HTTPProxy = ""
	w.pilot.SetWorkloads([]Workload{workload}, nil)
	c := w.connect(workload)
	w.awaitReceipt(workload.Name, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	got := slices.Sorted(maps.Keys(c.has[v3.ListenerType]))
	if want := []string{"127.1.0.9_19081", "127.1.0.9_9080"}; !slices.Equal(got, want) {
		t.Errorf("listeners %v, want %v", got, want)
	}
}

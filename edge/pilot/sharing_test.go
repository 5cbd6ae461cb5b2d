package pilot

import (
	"strings"
	"testing"

	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pilot/pkg/model"
	v3 "istio.io/istio/pilot/pkg/xds/v3"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// TestKin: only what no configuration can tell apart is left out.
func TestKin(t *testing.T) {
	base := func() Workload {
		w := sidecar("reviews", "reviews-1", "10.0.0.1")
		w.Labels = map[string]string{"tier": "a"}
		return w
	}
	for name, c := range map[string]struct {
		change func(*Workload)
		same   bool
	}{
		"name":             {func(w *Workload) { w.Name = "reviews-2" }, true},
		"address":          {func(w *Workload) { w.Addresses = []string{"10.0.0.2"} }, true},
		"health":           {func(w *Workload) { w.Healthy = false }, true},
		"workspace":        {func(w *Workload) { w.Workspace = "bank" }, false},
		"service":          {func(w *Workload) { w.Service = "ratings" }, false},
		"version":          {func(w *Workload) { w.Version = "v2" }, false},
		"role":             {func(w *Workload) { w.Role = Gateway }, false},
		"label":            {func(w *Workload) { w.Labels = map[string]string{"tier": "b"} }, false},
		"label or version": {func(w *Workload) { w.Labels = map[string]string{"tier": `a" "v`} }, false},
		"IPv6 too":         {func(w *Workload) { w.Addresses = append(w.Addresses, "fd00::1") }, false},
		"IPv6 alone":       {func(w *Workload) { w.Addresses = []string{"fd00::1"} }, false},
		"ports":            {func(w *Workload) { w.Ports[0].Port++ }, false},
		"capture":          {func(w *Workload) { w.Capture = Explicit }, false},
		"proxy":            {func(w *Workload) { w.HTTPProxy = "127.0.0.1:1" }, false},
		"upstreams":        {func(w *Workload) { w.Upstreams = []Upstream{{Host: "x"}} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			one, other := base(), base()
			c.change(&other)
			if (one.kin() == other.kin()) != c.same {
				t.Errorf("same: %t, want %t\n%s\n%s", !c.same, c.same, one.kin(), other.kin())
			}
		})
	}
}

// labelRoute sends the callers with the label a header.
func labelRoute(t testing.TB, version, label, value string) *feedpb.Resource {
	t.Helper()
	r := hostRoute(t, "reviews", version, "special")
	v := &networking.VirtualService{}
	check(t, r.Body.UnmarshalTo(v))
	v.Http[0].Match = []*networking.HTTPMatchRequest{{SourceLabels: map[string]string{label: value}}}
	check(t, r.Body.MarshalFrom(v))
	return r
}

// TestRoutesAreSharedByKinOnly: routes that select their callers reach those and no others, be they selected by what
// tells two kinds apart or by what tells two workloads of a kind apart.
func TestRoutesAreSharedByKinOnly(t *testing.T) {
	w := shop(t)
	one, twin, other := sidecar("reviews", "reviews-1", "10.0.0.1"), sidecar("reviews", "reviews-2", "10.0.0.3"), sidecar("reviews", "reviews-3", "10.0.0.4")
	other.Version = "v2"
	w.pilot.SetWorkloads([]Workload{twin, other}, nil)
	clients := map[string]*client{}
	for _, workload := range []Workload{one, twin, other} {
		clients[workload.Name] = w.connect(workload)
		w.awaitReceipt(workload.Name, 1)
	}
	for i, step := range []struct {
		label, value string
		special      map[string]bool
	}{
		{plan.LabelVersion, "v1", map[string]bool{"reviews-1": true, "reviews-2": true}},
		{plan.LabelVersion, "v2", map[string]bool{"reviews-3": true}},
		{LabelWorkload, "reviews-2", map[string]bool{"reviews-2": true}},
	} {
		w.apply(int64(i+2), labelRoute(t, step.label+step.value, step.label, step.value))
		for name, c := range clients {
			w.awaitReceipt(name, int64(i+2))
			c.await(name+" has the route of "+step.label, func() bool {
				return strings.Contains(c.text(v3.RouteType, "9080"), "special") == step.special[name]
			})
		}
	}
}

// TestRoutesAreGeneratedOnce counts what proxies of one kind cost.
func TestRoutesAreGeneratedOnce(t *testing.T) {
	w := shop(t)
	one, twin := sidecar("reviews", "reviews-1", "10.0.0.1"), sidecar("reviews", "reviews-2", "10.0.0.3")
	w.pilot.SetWorkloads([]Workload{twin}, nil)
	var has []*client
	for _, workload := range []Workload{one, twin} {
		has = append(has, w.connect(workload))
		w.awaitReceipt(workload.Name, 1)
	}
	before := has[0].counts()
	w.apply(2, hostRoute(t, "ratings", "1", "x"))
	w.awaitReceipt(one.Name, 2)
	w.awaitReceipt(twin.Name, 2)
	if made := len(w.pilot.sharing.made); made != 1 {
		t.Errorf("%d tables were made for two workloads of a kind", made)
	}
	if after := has[0].counts(); after[v3.ClusterType] != before[v3.ClusterType] || after[v3.RouteType] != before[v3.RouteType]+1 {
		t.Errorf("%v, then %v", before, after)
	}
}

// TestHasClusters: clusters are left alone only when none is missing and none too many.
func TestHasClusters(t *testing.T) {
	w := shop(t)
	w.connect(sidecar("reviews", "reviews-1", "10.0.0.1"))
	w.awaitReceipt("reviews-1", 1)
	for _, c := range w.pilot.xds.AllClients() {
		watched := c.Proxy().GetWatchedResource(v3.ClusterType)
		if !hasClusters(c.Proxy(), watched) {
			t.Errorf("not all clusters of what it sees: %v", watched.ResourceNames)
		}
		for _, name := range []string{reviewsCluster, ratingsCluster} {
			if hasClusters(c.Proxy(), &model.WatchedResource{ResourceNames: watched.ResourceNames.Copy().Delete(name)}) {
				t.Errorf("%s is not missed", name)
			}
		}
		if hasClusters(c.Proxy(), &model.WatchedResource{ResourceNames: watched.ResourceNames.Copy().Insert("outbound|1||gone.shop.mesh")}) {
			t.Error("a cluster too many is not noticed")
		}
	}
}

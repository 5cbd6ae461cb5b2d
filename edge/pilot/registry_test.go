package pilot

import (
	"strings"
	"testing"

	v3 "istio.io/istio/pilot/pkg/xds/v3"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// Of a service that other zones take over, the last ones are called though they are ill.
func TestLastResort(t *testing.T) {
	w := shop(t)
	c := w.connect(sidecar("reviews", "reviews-1", "10.0.0.1"))
	entry := shopService(t, "ratings", "240.0.0.2", 9080, "HTTP")
	entry.Version, entry.Labels = "2", map[string]string{plan.LabelLastResort: "true"}
	w.apply(2, entry)
	one, two := sidecar("ratings", "ratings-1", "10.0.0.2"), sidecar("ratings", "ratings-2", "10.0.0.3")
	one.Healthy = false
	w.pilot.SetWorkloads([]Workload{one, two}, nil)
	c.await("one of two is ill", func() bool { return strings.Count(c.text(v3.EndpointType, ratingsCluster), "UNHEALTHY") == 1 })
	two.Healthy = false
	w.pilot.SetWorkloads([]Workload{two}, nil)
	c.await("both are, and called", func() bool {
		text := c.text(v3.EndpointType, ratingsCluster)
		return strings.Contains(text, "10.0.0.2") && strings.Contains(text, "10.0.0.3") && !strings.Contains(text, "UNHEALTHY")
	})
	one.Healthy = true
	w.pilot.SetWorkloads([]Workload{one}, nil)
	c.await("one is well", func() bool { return strings.Count(c.text(v3.EndpointType, ratingsCluster), "UNHEALTHY") == 1 })
}

// Where zones share requests, workloads weigh together what the gateways of another zone do, however many they are.
func TestZoneWeight(t *testing.T) {
	w := shop(t)
	c := w.connect(sidecar("reviews", "reviews-1", "10.0.0.1"))
	entry := shopService(t, "ratings", "240.0.0.2", 9080, "HTTP")
	entry.Version, entry.Labels = "2", map[string]string{plan.LabelZoneWeight: "100000"}
	w.apply(2, entry)
	weights := func(each string, count int) func() bool {
		return func() bool {
			return strings.Count(c.text(v3.EndpointType, ratingsCluster), "load_balancing_weight:{value:"+each+"}") == count
		}
	}
	w.pilot.SetWorkloads([]Workload{sidecar("ratings", "ratings-1", "10.0.0.2"), sidecar("ratings", "ratings-2", "10.0.0.3")}, nil)
	c.await("two weigh half each", weights("50000", 2))
	w.pilot.SetWorkloads([]Workload{sidecar("ratings", "ratings-3", "10.0.0.4")}, nil)
	c.await("three a third", weights("33333", 3))
}

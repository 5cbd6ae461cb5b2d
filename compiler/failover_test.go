package compiler_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	networking "istio.io/api/networking/v1alpha3"
)

// failoverZones are a and b in one region, c and d without one.
const failoverZones = `
apiVersion: isthmus.dev/v1alpha1
kind: Workspace
metadata: {name: shop}
---
apiVersion: isthmus.dev/v1alpha1
kind: Zone
metadata: {name: a}
spec: {type: machines, locality: {region: west}, eastWest: {addresses: ["10.0.0.1"]}}
---
apiVersion: isthmus.dev/v1alpha1
kind: Zone
metadata: {name: b}
spec: {type: machines, locality: {region: west}, eastWest: {addresses: ["10.0.0.2"]}}
---
apiVersion: isthmus.dev/v1alpha1
kind: Zone
metadata: {name: c}
spec: {type: machines, eastWest: {addresses: ["10.0.0.3"]}}
---
apiVersion: isthmus.dev/v1alpha1
kind: Zone
metadata: {name: d}
spec: {type: machines, eastWest: {addresses: ["10.0.0.4"]}}
`

// failoverService is reviews in all of them, by protocol and where it is alive.
const failoverService = `
kind: DiscoveredService
metadata: {namespace: shop, name: reviews}
spec: {zones: [a, b, c, d], ports: [{port: 9080, protocol: %s}], places: [{zone: a, alive: %t}, {zone: b, alive: %t}, {zone: c, alive: %t}, {zone: d, alive: %t}]}
`

const failoverPolicy = `
apiVersion: isthmus.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: reviews, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: reviews}]
  failover: {prefer: %s}
`

// TestFailover says to which zones the callers of one send requests and connections, by policy and by who is alive.
func TestFailover(t *testing.T) {
	for _, c := range []struct{ prefer, alive, callers, want string }{
		{"", "abcd", "a", "a"},
		{"", "bcd", "a", "bcd"},
		{"", "bcd", "c", "c"},
		{"", "", "a", "bcd"},
		{"Zone", "abcd", "a", "a"},
		{"Zone", "bcd", "a", "b"},
		{"Zone", "cd", "a", "cd"},
		{"Zone", "d", "a", "d"},
		{"Zone", "abd", "c", "abd"},
		{"Zone", "", "b", "a"},
		{"Region", "abcd", "a", "ab"},
		{"Region", "abcd", "b", "ab"},
		{"Region", "acd", "b", "a"},
		{"Region", "cd", "b", "cd"},
		{"Region", "abcd", "c", "c"},
	} {
		for _, protocol := range []string{"http", "tcp"} {
			t.Run(fmt.Sprintf("prefer=%s/alive=%s/callers=%s/%s", c.prefer, c.alive, c.callers, protocol), func(t *testing.T) {
				w := newWorld(t)
				text := failoverZones
				alive := func(zone string) bool { return strings.Contains(c.alive, zone) }
				text += "---" + fmt.Sprintf(failoverService, protocol, alive("a"), alive("b"), alive("c"), alive("d"))
				if c.prefer != "" {
					text += "---" + fmt.Sprintf(failoverPolicy, c.prefer)
				}
				w.take(objects(t, "failover", []byte(text)))
				if got := w.zonesOfReviews(c.callers, c.alive); got != c.want {
					t.Errorf("callers in %s go to %s, want %s", c.callers, got, c.want)
				}
			})
		}
	}
}

// zonesOfReviews are the zones among which the callers of one share their requests: of the endpoints under the name to
// which all their routes lead, those with the most labels in common before the first that differs. The edge knows which
// of the zone's own workloads are well.
func (w *world) zonesOfReviews(callers, alive string) string {
	near := w.near(callers)
	caller := labelsOf[callers]
	var zones string
	best := -1
	for _, zone := range near.zones {
		if zone == callers && !strings.Contains(alive, zone) {
			continue
		}
		agree := 0
		for agree < len(near.labels) && caller[near.labels[agree]] == labelsOf[zone][near.labels[agree]] {
			agree++
		}
		if agree > best {
			zones, best = "", agree
		}
		if agree == best {
			zones += zone
		}
	}
	return zones
}

// labelsOf are the labels of the workloads in each zone, as Istio has them.
var labelsOf = map[string]map[string]string{
	"a": {"isthmus.dev/zone": "a", "topology.kubernetes.io/region": "west"},
	"b": {"isthmus.dev/zone": "b", "topology.kubernetes.io/region": "west"},
	"c": {"isthmus.dev/zone": "c", "topology.kubernetes.io/region": "c"},
	"d": {"isthmus.dev/zone": "d", "topology.kubernetes.io/region": "d"},
}

// nearness is what the proxies of a zone choose among, and by which labels.
type nearness struct{ zones, labels []string }

func (w *world) near(callers string) (n nearness) {
	const host = "reviews.shop.near.mesh"
	for _, r := range w.compiler.Zone(callers) {
		body, err := r.Body.UnmarshalNew()
		if err != nil {
			w.t.Fatal(err)
		}
		switch body := body.(type) {
		case *networking.ServiceEntry:
			if body.Hosts[0] == host {
				n.zones = append(n.zones, w.zonesOf(body, callers)...)
			}
		case *networking.DestinationRule:
			if body.Host == host {
				n.labels = body.TrafficPolicy.LoadBalancer.LocalityLbSetting.FailoverPriority
			}
		case *networking.VirtualService:
			for _, to := range destinations(body) {
				if to.Host != host {
					w.t.Errorf("callers in %s are led to %s", callers, to.Host)
				}
			}
		}
	}
	slices.Sort(n.zones)
	return n
}

// zonesOf are the zones of an entry's endpoints. Their labels must be those of the zone's workloads.
func (w *world) zonesOf(entry *networking.ServiceEntry, callers string) (zones []string) {
	if entry.WorkloadSelector != nil {
		return []string{callers}
	}
	for _, e := range entry.Endpoints {
		zone := e.Labels["isthmus.dev/zone"]
		if region, _, _ := strings.Cut(e.Locality, "/"); region != labelsOf[zone]["topology.kubernetes.io/region"] {
			w.t.Errorf("an endpoint in zone %s has locality %s", zone, e.Locality)
		}
		zones = append(zones, zone)
	}
	return zones
}

func destinations(vs *networking.VirtualService) (all []*networking.Destination) {
	for _, route := range vs.Http {
		for _, to := range route.Route {
			all = append(all, to.Destination)
		}
	}
	for _, route := range vs.Tcp {
		for _, to := range route.Route {
			all = append(all, to.Destination)
		}
	}
	return all
}

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
		{"", "", "a", "a"},
		{"Zone", "abcd", "a", "a"},
		{"Zone", "bcd", "a", "b"},
		{"Zone", "cd", "a", "cd"},
		{"Zone", "d", "a", "d"},
		{"Zone", "abd", "c", "abd"},
		{"Zone", "", "b", "b"},
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
				if got := w.zonesOfReviews(c.callers); got != c.want {
					t.Errorf("callers in %s go to %s, want %s", c.callers, got, c.want)
				}
			})
		}
	}
}

// zonesOfReviews are the zones among which the callers of one share their requests alike: their own if no route says else.
func (w *world) zonesOfReviews(callers string) string {
	var zones []string
	for _, r := range w.compiler.Zone(callers) {
		if r.Name != "VirtualService/shop/reviews" {
			continue
		}
		var vs networking.VirtualService
		if err := r.Body.UnmarshalTo(&vs); err != nil {
			w.t.Fatal(err)
		}
		for _, route := range vs.Http {
			for _, to := range route.Route {
				zones = append(zones, share(to.Destination, to.Weight, callers))
			}
		}
		for _, route := range vs.Tcp {
			for _, to := range route.Route {
				zones = append(zones, share(to.Destination, to.Weight, callers))
			}
		}
	}
	if zones == nil {
		return callers
	}
	slices.Sort(zones)
	return strings.Join(zones, "")
}

// share is the zone that a destination is in, as often as its weight says.
func share(to *networking.Destination, weight int32, callers string) string {
	zone, is := strings.CutSuffix(strings.TrimPrefix(to.Host, "reviews.shop."), ".zone.mesh")
	if !is {
		zone = callers
	}
	return strings.Repeat(zone, int(weight))
}

// Package stories_test tells whole stories: what a user types, on machines of their own, and what becomes of
// every request that real Envoys carry. The programs and the machines are those of package meshtest.
package stories_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// world is one mesh with the shop in it, and a test that is told in it.
type world struct {
	*testing.T
	*meshtest.Shop
	mesh *meshtest.World
	zone *meshtest.Zone
}

// web is the machine whose applications call: it is in the mesh as service web.
func (w world) web() *meshtest.Machine { return w.Machines["web1"] }

// apply applies objects until the end of the test, which then takes back what they added and changed, and waits
// with "isthmus wait" until every proxy concerned runs those that are named, for instance "httproute/reviews".
func (w world) apply(yaml string, programmed ...string) {
	w.Helper()
	added, changed := outcome(w.mesh.Apply(yaml))
	w.Cleanup(func() {
		if len(added) > 0 {
			w.mesh.Kubectl(append([]string{"delete", "--namespace=shop"}, added...)...)
		}
		if len(changed) > 0 {
			w.mesh.Apply(w.Example("shop"))
		}
	})
	w.programmed(programmed...)
}

// outcome reads what kubectl apply says: "httproute.gateway.networking.k8s.io/reviews configured".
func outcome(applied string) (added, changed []string) {
	for line := range strings.Lines(applied) {
		object, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch what {
		case "created":
			added = append(added, object)
		case "configured":
			changed = append(changed, object)
		}
	}
	return added, changed
}

// programmed waits as a user does.
func (w world) programmed(objects ...string) {
	w.Helper()
	for _, object := range objects {
		if _, err := w.mesh.TryIsthmus("wait", "--for=condition=Programmed", object, "-n", "shop", "--timeout=20s"); err != nil {
			status, _ := w.mesh.TryKubectl("get", object, "-n", "shop", "--output=jsonpath={.status}")
			w.Fatalf("%v\nits status: %s\n%s", err, status, w.laggards())
		}
	}
}

// laggards tells how far every proxy is, and which Envoys wait for something: they acknowledge no clusters meanwhile.
func (w world) laggards() string {
	proxies, _ := w.mesh.TryKubectl("get", "proxies", "--all-namespaces", "--output=wide")
	var told strings.Builder
	told.WriteString(proxies)
	for name, agent := range w.Agents {
		if warming, err := agent.EnvoyStat("cluster_manager.warming_clusters"); err != nil || warming > 0 {
			fmt.Fprintf(&told, "the Envoy of %s warms %d clusters (%v)\n", name, warming, err)
		}
	}
	return told.String()
}

// hosts are the machines of reviews.
var hosts = []string{"rv1", "rv2", "rv3"}

// share is the part of the answers that was given by one version, between 0 and 1.
func share(tally *meshtest.Tally, service, version string) float64 {
	return float64(tally.ByVersion(service, version)) / float64(tally.Sent())
}

// mustBe fails the test unless a number is as near to another as wanted.
func (w world) mustBe(what string, got, want, tolerance float64) {
	w.Helper()
	if got < want-tolerance || got > want+tolerance {
		w.Errorf("%s: %.3f, want %.3f ± %.3f", what, got, want, tolerance)
	}
}

// route is an HTTPRoute for the callers of a service.
func route(service, rules string) string {
	return `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ` + service + `, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: ` + service + `}]
  rules:
` + rules + "\n"
}

// everywhere sends requests for reviews to all of its machines, somewhere to those of one version.
var everywhere = route("reviews", `  - backendRefs: [{name: reviews, port: 9080}]`)

func somewhere(version string) string {
	return route("reviews", `  - backendRefs: [{group: isthmus.dev, kind: Subset, name: reviews-`+version+`, port: 9080}]`)
}

// policy is a TrafficPolicy for a service.
func policy(service, spec string) string {
	return policyOf(service, "{kind: Service, name: "+service+"}", spec)
}

// policyOf is a TrafficPolicy for any targets.
func policyOf(name, target, spec string) string {
	return `apiVersion: isthmus.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: ` + name + `, namespace: shop}
spec:
  targetRefs: [` + target + `]
` + spec + "\n"
}

// between tells whether all times lie between two bounds.
func between(times []time.Duration, low, high time.Duration) bool {
	return len(times) > 0 && slices.Min(times) >= low && slices.Max(times) <= high
}

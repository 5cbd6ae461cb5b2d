package stories_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// timeouts end at their bound: that of the policy, and that of a route, which wins.
func timeouts(w world) {
	w.Turn("rv1", "delay=5s")
	defer w.Turn("rv1", "")
	w.apply(policy("reviews", "  timeouts: {request: 1500ms}"), "trafficpolicy/reviews")
	w.timesOutAfter(1500 * time.Millisecond)
	w.apply(withTimeouts("{request: 300ms}"), "httproute/reviews")
	w.timesOutAfter(300 * time.Millisecond)
	w.Turn("rv1", "")
	w.web().Ask(20, "http://reviews:9080/").MustLoseNothing(w)
}

// withTimeouts is a route to v1 of reviews.
func withTimeouts(bounds string) string {
	return strings.Replace(somewhere("v1"), "  - backendRefs", "  - timeouts: "+bounds+"\n    backendRefs", 1)
}

func (w world) timesOutAfter(bound time.Duration) {
	w.Helper()
	w.failsAfter("http://reviews:9080/", http.StatusGatewayTimeout, bound)
}

// failsAfter asks a service twice, which must fail when a bound is reached and not much later.
func (w world) failsAfter(url string, status int, bound time.Duration) {
	w.Helper()
	const sent, early, slack = 2, 10 * time.Millisecond, time.Second // clocks tick, machines are busy
	tally := w.web().Ask(sent, url)
	if tally.Status(status) != sent || !between(tally.Took(), bound-early, bound+slack) {
		w.Errorf("want %d after %v, and not much later: after %v: %s", status, bound, tally.Took(), tally)
	}
}

// attemptTimeouts bound each attempt: that of a policy, and that of a route.
func attemptTimeouts(w world) {
	w.Turn("ratings1", "delay=5s")
	defer w.Turn("ratings1", "")
	w.apply(policy("ratings", `  retries: {attempts: 2, perTryTimeout: 300ms, retryOn: ["gateway-error"]}`), "trafficpolicy/ratings")
	before := w.Requests("ratings1")
	w.failsAfter("http://ratings:9080/", http.StatusGatewayTimeout, 3*300*time.Millisecond)
	if received := w.Requests("ratings1") - before; received != 2*3 {
		w.Errorf("ratings received %d requests, want three attempts of each of two", received)
	}

	w.Turn("rv1", "delay=5s")
	defer w.Turn("rv1", "")
	w.apply(withTimeouts("{backendRequest: 300ms}"), "httproute/reviews")
	w.timesOutAfter(300 * time.Millisecond)
}

// connectionTimeouts end connections that nobody uses, and attempts to make one.
func connectionTimeouts(w world) {
	const idled = `reviews.*\.upstream_cx_idle_timeout$`
	if n := w.counted(idled, func() { w.web().Ask(5, "http://reviews:9080/").MustLoseNothing(w) }); n > 0 {
		w.Errorf("%d connections were closed without being told to", n)
	}
	w.apply(policy("reviews", "  timeouts: {idle: 500ms}"), "trafficpolicy/reviews")
	w.nothingWarms("web1")
	n := w.counted(idled, func() {
		w.web().Ask(5, "http://reviews:9080/").MustLoseNothing(w)
		meshtest.Eventually(w, "no connection is left", func() error {
			left, err := w.Agents["web1"].EnvoySum(`reviews.*\.upstream_cx_active$`)
			if err == nil && left > 0 {
				err = fmt.Errorf("%d", left)
			}
			return err
		})
	})
	if n == 0 {
		w.Error("no connection was closed for being idle")
	}

	w.mesh.LAN.Name("abyss.example.com", unanswered)
	for _, bound := range []time.Duration{300 * time.Millisecond, 2 * time.Second} {
		w.apply(abyss+"---\n"+policy("abyss", fmt.Sprintf("  timeouts: {connect: %v}\n  retries: {attempts: 0}", bound)), "isvc/abyss", "trafficpolicy/abyss")
		w.nothingWarms("web1")
		tally := w.web().Ask(1, "http://abyss/")
		if tally.Status(http.StatusServiceUnavailable) != 1 || !between(tally.Took(), bound-10*time.Millisecond, bound+time.Second) {
			w.Errorf("want no connection after %v: after %v: %s", bound, tally.Took(), tally)
		}
	}
}

// unanswered is an address that packets are sent to and that no one has (RFC 5737): the network's gateway drops them.
var unanswered = netip.MustParseAddr("192.0.2.1")

const abyss = `apiVersion: isthmus.dev/v1alpha1
kind: Service
metadata: {name: abyss, namespace: shop}
spec:
  external: {hostnames: [abyss.example.com]}
  ports: [{port: 80, protocol: http}]
`

// targets has policies about a subset and about a route; a subset's is not that of another.
func targets(w world) {
	for _, machine := range []string{"rv1", "rv3"} {
		w.Turn(machine, "delay=2s")
		defer w.Turn(machine, "")
	}
	w.apply(somewhere("v1"), "httproute/reviews")
	w.apply(policyOf("of-subset", "{kind: Subset, name: reviews-v1}", "  timeouts: {request: 900ms}"), "trafficpolicy/of-subset")
	w.timesOutAfter(900 * time.Millisecond)
	w.apply(somewhere("v3"), "httproute/reviews")
	w.web().Ask(2, "http://reviews:9080/").MustLoseNothing(w)
	w.apply(policyOf("of-route", "{kind: HTTPRoute, name: reviews}", "  timeouts: {request: 300ms}"), "trafficpolicy/of-route")
	w.timesOutAfter(300 * time.Millisecond)
}

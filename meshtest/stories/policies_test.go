package stories_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// retries hide that ratings fails every second request it receives.
func retries(w world) {
	w.Turn("ratings1", "fail=0.5")
	defer w.Turn("ratings1", "")
	const sent = 50
	if bare := w.web().Ask(sent, "http://ratings:9080/"); bare.Status(http.StatusServiceUnavailable) != sent/2 {
		w.Errorf("without retries half should fail: %s", bare)
	}
	w.apply(w.Example("retries"), "trafficpolicy/ratings-retries")
	before := w.Requests("ratings1")
	w.web().Ask(sent, "http://ratings:9080/").MustLoseNothing(w)
	if received := w.Requests("ratings1") - before; received < 2*sent-1 || received > 2*sent {
		w.Errorf("ratings received %d requests, want each of %d twice: once in vain", received, sent)
	}
}

func faults(w world) {
	const sent = 300
	w.apply(policy("ratings", "  fault: {abort: {status: 418, percent: 30}}"), "trafficpolicy/ratings")
	before := w.Requests("ratings1")
	tally := w.web().Ask(sent, "http://ratings:9080/")
	aborted := tally.Status(http.StatusTeapot)
	w.mustBe("share of aborted requests", float64(aborted)/sent, 0.30, 0.11) // four standard deviations, as below
	if received := w.Requests("ratings1") - before; received != sent-aborted || tally.Status(http.StatusOK) != received {
		w.Errorf("%d of %d were aborted, yet ratings received %d: %s", aborted, sent, received, tally)
	}

	const delay = 100 * time.Millisecond
	w.apply(policy("ratings", "  fault: {delay: {duration: 100ms, percent: 20}}"), "trafficpolicy/ratings")
	tally = w.web().Ask(sent, "http://ratings:9080/")
	tally.MustLoseNothing(w)
	delayed := 0
	for _, took := range tally.Took() {
		if took >= delay {
			delayed++
		}
	}
	w.mustBe("share of delayed requests", float64(delayed)/sent, 0.20, 0.10)
}

// lostBackend refuses the share of a backend that does not exist, beside what a drill aborts.
func lostBackend(w world) {
	const sent = 400
	w.apply(route("ratings", `  - backendRefs: [{name: ratings, port: 9080, weight: 3}, {name: nothing, port: 9080, weight: 1}]`), "httproute/ratings")
	tally := w.web().Ask(sent, "http://ratings:9080/")
	w.mustBe("share of refused requests", float64(tally.Status(http.StatusInternalServerError))/sent, 0.25, 0.09) // four standard deviations, as below

	w.apply(policy("ratings", "  fault: {abort: {status: 418, percent: 40}}"), "trafficpolicy/ratings")
	before := w.Requests("ratings1")
	tally = w.web().Ask(sent, "http://ratings:9080/")
	aborted, refused := tally.Status(http.StatusTeapot), tally.Status(http.StatusServiceUnavailable)
	w.mustBe("share of aborted requests", float64(aborted)/sent, 0.40, 0.10)
	w.mustBe("share of refused requests beside them", float64(refused)/sent, 0.15, 0.08)
	if received := w.Requests("ratings1") - before; received != sent-aborted-refused || tally.Status(http.StatusOK) != received {
		w.Errorf("ratings received %d requests of %d: %s", received, sent, tally)
	}
}

// ejection leaves out the one machine that fails, and takes it back when its time is over.
func ejection(w world) {
	w.apply(everywhere, "httproute/reviews")
	w.Turn("rv2", "fail=1")
	defer w.Turn("rv2", "")
	if bare := w.web().Ask(90, "http://reviews:9080/"); bare.Failed() < 3 {
		w.Errorf("without ejection a third should fail: %s", bare)
	}
	protection := strings.Replace(w.Example("circuit-breaking"), "baseEjectionTime: 10s", "baseEjectionTime: 3s", 1)
	w.apply(protection, "trafficpolicy/reviews-protection")
	failed := 0
	meshtest.Eventually(w, "the machine that fails is left out", func() error {
		tally := w.web().Ask(20, "http://reviews:9080/")
		failed += tally.Failed()
		if tally.Failed() > 0 {
			return fmt.Errorf("%s", tally)
		}
		return nil
	})
	if failed < 5 {
		w.Errorf("%d failures sufficed, want five in a row", failed)
	}
	w.Turn("rv2", "")
	meshtest.Eventually(w, "it is taken back", func() error {
		if tally := w.web().Ask(20, "http://reviews:9080/"); tally.ByHost("reviews", "rv2") == 0 {
			return fmt.Errorf("%s", tally)
		}
		return nil
	})
}

func hashByHeader(w world) {
	w.apply(everywhere, "httproute/reviews")
	w.apply(policy("reviews", "  loadBalancing: {policy: ConsistentHash, consistentHash: {header: end-user}}"), "trafficpolicy/reviews")
	used := map[string]bool{}
	for user := range 12 {
		tally := w.web().Ask(10, "http://reviews:9080/", "--header", fmt.Sprint("end-user: ", user))
		tally.MustLoseNothing(w)
		used[w.oneHost(tally)] = true
	}
	if len(used) < 2 {
		w.Errorf("all users are at %v", used)
	}
}

// oneHost is the machine of reviews that answered all requests.
func (w world) oneHost(tally *meshtest.Tally) string {
	w.Helper()
	for _, host := range hosts {
		if tally.ByHost("reviews", host) == tally.Sent() {
			return host
		}
	}
	w.Errorf("several machines answered: %s", tally)
	return ""
}

// hashByCookie has the proxy give each client a cookie, which leads it to one machine.
func hashByCookie(w world) {
	w.apply(everywhere, "httproute/reviews")
	w.apply(policy("reviews", "  loadBalancing: {policy: ConsistentHash, consistentHash: {cookie: {name: place, ttl: 1h}}}"), "trafficpolicy/reviews")
	used := map[string]bool{}
	for range 12 {
		tally := w.web().Ask(10, "http://reviews:9080/", "--cookie", "") // a client that keeps cookies
		tally.MustLoseNothing(w)
		used[w.oneHost(tally)] = true
	}
	if len(used) < 2 {
		w.Errorf("all clients are at %v", used)
	}
}

// hashBySource keeps each caller at one machine.
func hashBySource(w world) {
	w.apply(everywhere, "httproute/reviews")
	w.apply(policy("reviews", "  loadBalancing: {policy: ConsistentHash, consistentHash: {source: true}}"), "trafficpolicy/reviews")
	used := map[string]bool{}
	for name, caller := range w.Machines {
		if name == "public" { // whose callers are elsewhere
			continue
		}
		tally := caller.Ask(10, "http://reviews:9080/")
		tally.MustLoseNothing(w)
		used[w.oneHost(tally)] = true
	}
	if len(used) < 2 {
		w.Errorf("all callers are at %v", used)
	}
}

// failover finds all machines of a zone equally near: it shares requests among those that live.
func failover(w world) {
	w.apply(everywhere, "httproute/reviews")
	for _, prefer := range []string{"Zone", "Region"} {
		w.apply(policy("reviews", "  failover: {prefer: "+prefer+"}"), "trafficpolicy/reviews")
		w.served(prefer, hosts...)
		w.Apps["rv2"].Kill()
		w.served(prefer, "rv1", "rv3")
		w.Apps["rv2"].Start()
		w.served(prefer, hosts...)
	}
}

// served waits until reviews is answered by these machines, all of them and no others, and no request fails.
func (w world) served(when string, by ...string) {
	w.Helper()
	meshtest.Eventually(w, fmt.Sprintf("%s: %v serve", when, by), func() error {
		tally := w.web().Ask(30, "http://reviews:9080/")
		for _, host := range hosts {
			if tally.Failed() > 0 || slices.Contains(by, host) != (tally.ByHost("reviews", host) > 0) {
				return fmt.Errorf("%s", tally)
			}
		}
		return nil
	})
}

// changesUnderLoad changes what becomes clusters of Envoy while a browser asks: nothing is lost, and no cluster
// waits for endpoints that nobody sends again.
func changesUnderLoad(w world) {
	w.apply(everywhere, "httproute/reviews")
	load := w.Load()
	load.Rate = 20 // a second; the machine is busy with the changes
	tally, stop := load.Start(w)
	for _, spec := range []string{
		"  timeouts: {connect: 300ms}",
		"  timeouts: {connect: 400ms}\n  loadBalancing: {policy: RoundRobin}",
		"  connectionLimits: {maxRequests: 500}\n  outlierDetection: {consecutive5xx: 7}",
		"  loadBalancing: {policy: ConsistentHash, consistentHash: {header: x-request-id}}",
		"  timeouts: {connect: 1s}",
	} {
		w.apply(policy("reviews", spec), "trafficpolicy/reviews")
		w.nothingWarms("web1", "public")
		tally.GoesOn(w, 20)
	}
	stop()
	tally.MustLoseNothing(w)
	for _, host := range hosts {
		if tally.ByHost("reviews", host) == 0 {
			w.Errorf("%s received nothing: %s", host, tally)
		}
	}
}

// nothingWarms waits until Envoys have all their clusters in use.
func (w world) nothingWarms(machines ...string) {
	w.Helper()
	for _, name := range machines {
		meshtest.Eventually(w, "no cluster of "+name+" warms", func() error {
			warming, err := w.Agents[name].EnvoyStat("cluster_manager.warming_clusters")
			if err == nil && warming > 0 {
				err = fmt.Errorf("%d clusters warm", warming)
			}
			return err
		})
	}
}

package stories_test

import (
	"fmt"
	"net/http"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// burst sends n requests at once.
func (w world) burst(n int, url string) *meshtest.Tally {
	w.Helper()
	return w.web().Ask(n, url, "--parallel", "--parallel-immediate", "--parallel-max", fmt.Sprint(n), "--output", "/dev/null")
}

// counted is how much a number of the caller's Envoy grows while something is done.
func (w world) counted(pattern string, do func()) int {
	w.Helper()
	before, err := w.Agents["web1"].EnvoySum(pattern)
	if err != nil {
		w.Fatal(err)
	}
	do()
	after, err := w.Agents["web1"].EnvoySum(pattern)
	if err != nil {
		w.Fatal(err)
	}
	return after - before
}

// connectionLimits refuse what is too much for a slow service, at the caller's proxy.
func connectionLimits(w world) {
	w.Turn("rv1", "delay=2s")
	defer w.Turn("rv1", "")
	w.refused("", sentAtOnce)
	const workers = 2 // of Envoy: each has a connection in any case, and may take the last place together with the other
	w.refused("maxConnections: 1, maxPendingRequests: 1", workers+1)
	w.refused("maxRequests: 2", 2+workers-1)
	w.Turn("rv1", "")
	w.reused("maxRequests: 1000", 0, 2)
	w.reused("maxRequestsPerConnection: 1", sentInTurn, sentInTurn)
}

const sentAtOnce, sentInTurn = 12, 10

// refused sends requests at once, of which some, and no more than most, reach the service under limits. The
// others are refused with 503, and counted.
func (w world) refused(limits string, most int) {
	w.Helper()
	if limits != "" {
		w.apply(policy("reviews", "  connectionLimits: {"+limits+"}"), "trafficpolicy/reviews")
		w.nothingWarms("web1")
	}
	var tally *meshtest.Tally
	before := w.Requests("rv1")
	overflows := w.counted(`reviews.*\.upstream_rq_(active|pending)_overflow$`, func() { tally = w.burst(sentAtOnce, "http://reviews:9080/") })
	received, served, refused := w.Requests("rv1")-before, tally.Status(http.StatusOK), tally.Status(http.StatusServiceUnavailable)
	if served == 0 || served > most || most == sentAtOnce && served < most || served != received || refused != sentAtOnce-served || overflows != refused {
		w.Errorf("limits %q: the service received %d requests, the proxy counted %d as too many; want up to %d served and the others refused: %s",
			limits, received, overflows, most, tally)
	}
}

// reused sends requests one after the other, for which the proxy must make some number of connections.
func (w world) reused(limits string, least, most int) {
	w.Helper()
	w.apply(policy("reviews", "  connectionLimits: {"+limits+"}"), "trafficpolicy/reviews")
	w.nothingWarms("web1")
	made := w.counted(`reviews.*\.upstream_cx_total$`, func() { w.web().Ask(sentInTurn, "http://reviews:9080/").MustLoseNothing(w) })
	if made < least || made > most {
		w.Errorf("limits %q: %d connections for %d requests, want %d to %d", limits, made, sentInTurn, least, most)
	}
}

// retryBudget bounds what a storm of failures adds to the load of the service that fails.
func retryBudget(w world) {
	w.Turn("ratings1", "fail=1&delay=1s") // so that all first attempts are under way before the first one fails
	defer w.Turn("ratings1", "")
	const sent, retries, percent, always = 30, 3, 20, 3 // always as in plan.DefaultRetryMinConcurrency
	if received := w.storm(sent, fmt.Sprintf(`{attempts: %d, retryOn: ["5xx"]}`, retries)); received != sent*(1+retries) {
		w.Errorf("without a budget ratings received %d requests, want each of %d and %d retries of it", received, sent, retries)
	}
	most := sent + retries*max(always, sent*percent/100)
	if received := w.storm(sent, fmt.Sprintf(`{attempts: %d, retryOn: ["5xx"], budgetPercent: %d}`, retries, percent)); received <= sent || received > most {
		w.Errorf("under a budget of %d %% ratings received %d requests, want more than the %d sent, and %d at most", percent, received, sent, most)
	}
}

// storm sends requests at once that all fail, and returns how many the service has received.
func (w world) storm(sent int, retries string) int {
	w.Helper()
	w.apply(policy("ratings", "  retries: "+retries), "trafficpolicy/ratings")
	w.nothingWarms("web1")
	before := w.Requests("ratings1")
	if tally := w.burst(sent, "http://ratings:9080/"); tally.Status(http.StatusServiceUnavailable) != sent {
		w.Errorf("all should fail: %s", tally)
	}
	received := w.Requests("ratings1") - before
	w.Logf("retries %s: %d requests became %d", retries, sent, received)
	return received
}

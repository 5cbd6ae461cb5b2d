package stories_test

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// directMode applies Istio's own kinds to the hub: a header match, a denial and the refusal of a token of nobody,
// each counted. A route for the
// same service wins, and what is refused leaves the others in force.
func directMode(w world) {
	w.mesh.Kubectl("delete", "httproute/reviews", "--namespace=shop")
	w.Cleanup(func() {
		w.mesh.Apply(w.Example("shop"))
		w.programmed("httproute/reviews")
	})
	w.apply(w.Example("direct"), "destinationrule/reviews", "virtualservice/reviews", "authorizationpolicy/ratings",
		"serviceentry/identity", "destinationrule/identity", "requestauthentication/ratings", "peerauthentication/strict")
	w.connectedAnew("ratings1")
	w.directObeyed()

	w.mesh.MustRefuse(strings.Replace(w.Example("direct"), "exact: ada", "exakt: ada", 1), "unknown field", "exakt")
	w.apply(strings.Replace(strings.ReplaceAll(w.Example("direct"), "name: reviews\n", "name: foreign\n"), "- reviews\n", "- ledger.bank.mesh\n", 1))
	w.apply(strings.NewReplacer("- identity.example.com\n", "- ledger.bank.mesh\n", "mode: STRICT", "mode: PERMISSIVE").Replace(w.Example("direct")))
	for _, refused := range []string{"virtualservice/foreign", "serviceentry/identity", "peerauthentication/strict"} {
		w.mesh.Kubectl("wait", "--for=condition=Accepted=false", refused, "--namespace=shop", "--timeout=20s")
	}
	w.directObeyed()

	w.apply(somewhere("v2"), "httproute/reviews")
	w.mesh.Kubectl("wait", "--for=condition=Conflicted", "virtualservice/reviews", "httproute/reviews", "--namespace=shop", "--timeout=20s")
	const sent = 20
	w.mustBe("share of v2", share(w.web().Ask(sent, "http://reviews:9080/", "--header", "end-user: ada"), "reviews", "v2"), 1, 0)
}

// connectedAnew waits until a machine's Envoy enforces a policy on all connections: those from before are drained.
func (w world) connectedAnew(machine string) {
	w.Helper()
	meshtest.Eventually(w, "connections from before the policy have ended", func() error {
		if tally := w.web().Ask(1, "http://ratings:9080/", "--request", "DELETE"); tally.Status(http.StatusForbidden) != 1 {
			return fmt.Errorf("%s", tally)
		}
		draining, err := w.Agents[machine].EnvoyStat("listener_manager.total_filter_chains_draining")
		if err == nil && draining > 0 {
			err = fmt.Errorf("%d filter chains are draining", draining)
		}
		return err
	})
}

// directObeyed counts what examples/direct.yaml says.
func (w world) directObeyed() {
	w.Helper()
	const sent = 30
	for user, version := range map[string]string{"ada": "v3", "eve": "v1", "": "v1"} {
		tally := w.web().Ask(sent, "http://reviews:9080/", "--header", "end-user: "+user)
		w.mustBe("share of "+version+" for user "+user, share(tally, "reviews", version), 1, 0)
	}
	before := w.Requests("ratings1")
	if denied := w.web().Ask(sent, "http://ratings:9080/", "--request", "DELETE"); denied.Status(http.StatusForbidden) != sent {
		w.Errorf("want every DELETE denied: %s", denied)
	}
	if received := w.Requests("ratings1") - before; received != 0 {
		w.Errorf("ratings received %d of the requests that are denied", received)
	}
	if strange := w.web().Ask(sent, "http://ratings:9080/", "--header", "authorization: Bearer "+strangeToken); strange.Status(http.StatusUnauthorized) != sent {
		w.Errorf("want every strange token refused: %s", strange)
	}
	w.web().Ask(sent, "http://ratings:9080/").MustLoseNothing(w)
}

// strangeToken is one of {"alg":"none"} for {"iss":"nobody"}.
const strangeToken = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJub2JvZHkifQ."

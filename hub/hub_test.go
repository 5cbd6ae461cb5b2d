package hub_test

import (
	"context"
	"crypto"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/api/hubinfo"
	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/hub"
	"github.com/isthmus-mesh/isthmus/identity"
)

const mesh = `
{apiVersion: isthmus.dev/v1alpha1, kind: Zone, metadata: {name: dc1}, spec: {type: machines}}
---
{apiVersion: isthmus.dev/v1alpha1, kind: Workspace, metadata: {name: shop}}`

// route sends the requests for reviews below /NAME to reviews, with a header, so that edits make a difference.
func route(name, value string) string {
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {namespace: shop, name: %[1]s}
spec:
  parentRefs: [{group: isthmus.dev, kind: Service, name: reviews}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /%[1]s}}]
    filters:
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-said, value: %[2]q}]}}
    backendRefs: [{group: isthmus.dev, kind: Service, name: reviews, port: 9080}]
`, name, value)
}

func TestChangeIsProgrammedWhenEveryProxyRunsIt(t *testing.T) {
	w := newWorld(t)
	w.apply(mesh)
	e := w.join("edge-1", workload("reviews-1", "v1"), workload("reviews-2", "v2"))
	w.apply(route("reviews", "one"))
	message := w.becomes("HTTPRoute", "shop", "reviews", "Programmed", "True")
	if want := "2 of 2 proxies in 1 zone(s) run it"; message != want {
		t.Errorf("message is %q, want %q", message, want)
	}
	w.becomes("HTTPRoute", "shop", "reviews", "Accepted", "True")
	w.becomes("HTTPRoute", "shop", "reviews", "Degraded", "False")
	if !slices.ContainsFunc(e.names(), func(name string) bool { return strings.HasPrefix(name, "VirtualService/shop/") }) {
		t.Errorf("the edge has %v", e.names())
	}

	e.hold("reviews-2")
	w.apply(route("reviews", "two"))
	message = w.becomes("HTTPRoute", "shop", "reviews", "Programmed", "False")
	if want := "1 of 2 proxies in 1 zone(s) run it; waiting for reviews-2"; message != want {
		t.Errorf("message is %q, want %q", message, want)
	}
	e.release()
	w.becomes("HTTPRoute", "shop", "reviews", "Programmed", "True")
}

func TestStatusWritesEnd(t *testing.T) {
	w := newWorld(t)
	w.apply(mesh)
	w.join("edge-1", workload("reviews-1", "v1"))
	w.apply(route("reviews", "one"))
	w.becomes("HTTPRoute", "shop", "reviews", "Programmed", "True")
	w.becomes("Zone", "", "dc1", "Connected", "True")
	written, settled := w.counter("isthmus_hub_status_writes_total", "written"), 0
	w.eventually("statuses are written no more", func() error {
		if now := w.counter("isthmus_hub_status_writes_total", "written"); now != written {
			written, settled = now, 0
		}
		if settled++; settled < 200 {
			return fmt.Errorf("%v written", written)
		}
		return nil
	})
	if failed := w.counter("isthmus_hub_status_writes_total", "failed"); failed > 0 {
		t.Errorf("%v writes failed", failed)
	}
	if written > 20 {
		t.Errorf("%v statuses written for four objects", written)
	}
}

func TestRestartWithdrawsNothing(t *testing.T) {
	w := newWorld(t)
	w.apply(mesh)
	e := w.join("edge-1", workload("reviews-1", "v1"))
	w.apply(route("reviews", "one"))
	w.becomes("HTTPRoute", "shop", "reviews", "Programmed", "True")
	before := e.names()
	e.stop()
	w.stop()

	w.start()
	e.removed = nil
	e.workloads = nil // the edge is restarted too, and its agents are not back
	e.connect()
	w.becomes("Zone", "", "dc1", "Connected", "True")
	w.apply(route("reviews", "two"))
	w.becomes("HTTPRoute", "shop", "reviews", "Programmed", "True")
	if after := e.names(); !slices.Equal(before, after) || len(e.removed) > 0 {
		t.Errorf("before %v, after %v, withdrawn meanwhile %v", before, after, e.removed)
	}
}

func TestRejectionLandsOnItsObject(t *testing.T) {
	w := newWorld(t)
	w.apply(mesh)
	e := w.join("edge-1", workload("reviews-1", "v1"))
	w.apply(route("reviews", "bad"))
	w.apply(route("other", "good"))
	w.becomes("HTTPRoute", "shop", "reviews", "Programmed", "True")
	e.reject(rejection(w.get("HTTPRoute", "shop", "reviews").GetGeneration()))
	if message := w.becomes("HTTPRoute", "shop", "reviews", "Degraded", "True"); !strings.Contains(message, "envoy says: no such thing") {
		t.Errorf("message lacks Envoy's words: %q", message)
	}
	w.becomes("HTTPRoute", "shop", "reviews", "Programmed", "False")
	if status, _ := w.condition("HTTPRoute", "shop", "other", "Degraded"); status != "False" {
		t.Errorf("the other route is Degraded=%s", status)
	}

	w.apply(route("reviews", "better"))
	w.becomes("HTTPRoute", "shop", "reviews", "Degraded", "False")
	w.becomes("HTTPRoute", "shop", "reviews", "Programmed", "True")
}

func TestRestartKeepsVerdictsUntilEdgesTell(t *testing.T) {
	w := newWorld(t)
	w.apply(mesh)
	e := w.join("edge-1", workload("reviews-1", "v1"))
	w.apply(route("reviews", "bad"))
	w.apply(route("other", "good"))
	w.becomes("HTTPRoute", "shop", "reviews", "Programmed", "True")
	w.becomes("HTTPRoute", "shop", "other", "Programmed", "True")
	e.reject(rejection(w.get("HTTPRoute", "shop", "reviews").GetGeneration()))
	w.becomes("HTTPRoute", "shop", "reviews", "Degraded", "True")
	e.stop()
	w.stop()

	w.start()
	w.becomes("Zone", "", "dc1", "Connected", "False") // so the hub has begun to write statuses
	w.apply(route("third", "new"))
	w.becomes("HTTPRoute", "shop", "third", "Programmed", "False")
	w.is("HTTPRoute", "shop", "reviews", "Degraded", "True")
	w.is("HTTPRoute", "shop", "other", "Programmed", "True")

	e.reject(nil)
	e.connect()
	w.becomes("HTTPRoute", "shop", "third", "Programmed", "True")
	w.becomes("HTTPRoute", "shop", "reviews", "Degraded", "False")
	w.becomes("HTTPRoute", "shop", "reviews", "Programmed", "True")
}

// rejection is what an edge says of a route that a proxy refuses.
func rejection(generation int64) *feedpb.Rejection {
	return &feedpb.Rejection{
		Resource: "VirtualService/shop/reviews", Version: "1", Proxy: "reviews-1", Message: "envoy says: no such thing",
		Origins: []*feedpb.Origin{{Kind: "HTTPRoute", Namespace: "shop", Name: "reviews", Generation: generation}},
	}
}

func TestZoneSaysWhatItsEdgesSay(t *testing.T) {
	w := newWorld(t)
	w.apply(mesh)
	w.becomes("Zone", "", "dc1", "Connected", "False")
	e := w.join("edge-1", workload("reviews-1", "v1"))
	w.becomes("Zone", "", "dc1", "Connected", "True")
	status := w.get("Zone", "", "dc1").Object["status"].(map[string]any)
	if status["edges"] != int64(1) || fmt.Sprint(status["addresses"]) != "[edge-1:15012]" {
		t.Errorf("status is %v", status)
	}
	e.client.Report(&feedpb.ReportRequest{ConditionsSet: true, Conditions: []*feedpb.Condition{{Type: "Save/roster.json", Reason: "StateNotSaved", Message: "no space left"}}})
	if message := w.becomes("Zone", "", "dc1", "StateNotSaved", "True"); message != "edge edge-1: no space left" {
		t.Errorf("message is %q", message)
	}
	w.eventually("the workload is in view", func() error {
		if health := w.get("Workload", "shop", "reviews-1").Object["status"]; health == nil {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	e.stop()
	w.becomes("Zone", "", "dc1", "Connected", "False")
}

func TestDeletedZoneKeepsWhatItHas(t *testing.T) {
	w := newWorld(t)
	w.apply(mesh)
	e := w.join("edge-1", workload("reviews-1", "v1"))
	w.apply(route("reviews", "one"))
	w.becomes("HTTPRoute", "shop", "reviews", "Programmed", "True")
	if err := w.client.Resource(resources["Zone"]).Delete(context.Background(), "dc1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.becomes("HTTPRoute", "shop", "reviews", "Programmed", "False")
	if names := e.names(); len(names) == 0 || len(e.removed) > 0 {
		t.Errorf("the edge has %v and was told to remove %v", names, e.removed)
	}
	if _, err := e.renew("edge-1"); err == nil || !strings.Contains(err.Error(), problem.IdentityRefused.Code) {
		t.Errorf("renewal in a deleted zone: %v, want %s", err, problem.IdentityRefused.Code)
	}

	w.apply(mesh)
	w.becomes("Zone", "", "dc1", "Connected", "True")
	w.becomes("HTTPRoute", "shop", "reviews", "Programmed", "True")
}

func TestTakenFeedPortIsOneSentence(t *testing.T) {
	w := newWorld(t)
	err := hub.Run(context.Background(), hub.Config{DataDir: t.TempDir(), Listen: "127.0.0.1:0", FeedListen: w.info.Feed, Metrics: prometheus.NewRegistry()}, nil)
	if err == nil || !strings.Contains(err.Error(), "cannot listen for edges on "+w.info.Feed) {
		t.Errorf("got %v", err)
	}
}

func TestThousandRoutesAtOnceConverge(t *testing.T) {
	const routes, appliers = 1000, 16
	w := newWorld(t)
	w.apply(mesh)
	w.join("edge-1", workload("reviews-1", "v1"))
	w.apply(route("r0", "x"))
	start := time.Now()
	var all errgroup.Group
	all.SetLimit(appliers)
	for i := range routes {
		o := parse(t, route(fmt.Sprintf("r%d", i), "x"))
		all.Go(func() error { return w.tryPut(o) })
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	applied := time.Now()
	w.eventually("as many statuses are written", func() error {
		if n := w.counter("isthmus_hub_status_writes_total", "written"); n < routes {
			return fmt.Errorf("%v are", n)
		}
		return nil
	})
	w.eventually("all are programmed", w.allProgrammed)
	written := w.counter("isthmus_hub_status_writes_total", "written")
	t.Logf("%d routes applied in %v, programmed %v later, %v statuses written", routes, applied.Sub(start), time.Since(applied), written)
	if written > 3*routes {
		t.Errorf("%v statuses written for %d routes", written, routes)
	}
}

// allProgrammed tells what is not.
func (w *world) allProgrammed() error {
	list, err := w.client.Resource(resources["HTTPRoute"]).Namespace("shop").List(context.Background(), metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, r := range list.Items {
		if status, message := conditionIn(r, "Programmed"); status != "True" {
			return fmt.Errorf("%s: %s", r.GetName(), message)
		}
	}
	return nil
}

func TestFactsForTokensArePublished(t *testing.T) {
	w := newWorld(t)
	data := map[string]string{}
	for k, v := range w.get("ConfigMap", hubinfo.Namespace, hubinfo.Name).Object["data"].(map[string]any) {
		data[k] = v.(string)
	}
	info, err := hubinfo.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := identity.DecodeCertificates([]byte(info.Root))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(info.FeedAddresses, w.info.FeedAddresses) || !roots[0].Equal(w.info.Root) || info.TrustDomain != "isthmus.local" {
		t.Errorf("published %+v, want what %+v says", info, w.info)
	}
}

// admit asks the hub to admit an edge with a key of its own.
func admit(w *world, token identity.Token, name string) (*feedpb.AdmitResponse, crypto.Signer, error) {
	key, err := identity.NewKey()
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := admitWith(w, token.String(), name, key)
	return response, key, err
}

func admitWith(w *world, token, name string, key crypto.Signer) (*feedpb.AdmitResponse, error) {
	config := identity.PinnedTLS(identity.Pin(w.info.Root), w.clock.now, onlyHub)
	return feed.Admit(context.Background(), w.info.FeedAddresses, config, &feedpb.AdmitRequest{
		Token: token, Edge: name, Csr: request(w, key), AuthorityCsr: request(w, nil),
	})
}

// request is a certificate request for a key; nil means a fresh one.
func request(w *world, key crypto.Signer) []byte {
	var err error
	if key == nil {
		if key, err = identity.NewKey(); err != nil {
			w.t.Fatal(err)
		}
	}
	csr, err := identity.NewRequest(key)
	if err != nil {
		w.t.Fatal(err)
	}
	return csr
}

// counter is the value of a counter with a label of that value.
func (w *world) counter(name, label string) float64 {
	families, err := w.metrics.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.Metric {
			if slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetValue() == label }) {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

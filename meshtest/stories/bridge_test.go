package stories_test

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// TestBridge joins a cluster that runs a stock Istio to a zone of machines: one service lives on both sides, is moved
// between them by weight, and serves callers of both when one side dies.
func TestBridge(t *testing.T) {
	b := newBridge(t)
	if b.stays() {
		return
	}
	mesh := b.mesh
	mesh.Run(t, "the hub sees what runs in the cluster", b.inventory)
	mesh.Run(t, "callers stay on their side", b.nearby)
	mesh.Run(t, "weights move a service between machines and pods", b.weights)
	mesh.Run(t, "a route inside the cluster", b.inside)
	mesh.Run(t, "what lives on the other side is called by its usual name", b.elsewhere)
	mesh.Run(t, "the cluster's gateways are discovered", b.gateways)
	mesh.Run(t, "callers of another workspace have routes of their own", b.otherWorkspace)
	mesh.Run(t, "when a side dies the other serves", b.failover)
	mesh.Run(t, "what is changed behind our back is put back", b.drift)
	mesh.Run(t, "what is not ours stays", b.foreign)
}

func (b *bridge) inventory(t *testing.T) {
	meshtest.Eventually(t, "the hub shows the pods", func() error {
		out, err := b.mesh.TryKubectl("get", "workloads.view.isthmus.dev", "--namespace=shop",
			"--output=jsonpath={range .items[*]}{.spec.zone}/{.spec.service}/{.status.health} {end}")
		for _, want := range []string{"prod-1/reviews/Healthy", "prod-1/details/Healthy", "dc1/reviews/Healthy"} {
			if err == nil && !strings.Contains(out, want) {
				err = fmt.Errorf("%s is not in %s", want, out)
			}
		}
		return err
	})
}

const reviewsURL = "http://reviews:9080/"

func (b *bridge) nearby(t *testing.T) {
	eventuallyAll(t, b.web1, reviewsURL, "reviews", "dc1")
	eventuallyAll(t, b.web2.Machine, reviewsURL, "reviews", "prod-1")
}

func (b *bridge) weights(t *testing.T) {
	for _, share := range []int{10, 100, 0, 50} {
		b.mesh.Apply(weights("dc1", 100-share, "prod-1", share))
		b.mesh.Programmed("shop", "httproute/reviews")
		for _, web := range []*meshtest.Machine{b.web1, b.web2.Machine} {
			b.share(t, web, float64(share)/100)
		}
	}
	b.mesh.Kubectl("delete", "httproute", "reviews", "--namespace=shop")
}

// share counts at once which share of a caller's requests the cluster answers: Programmed means that pods have it, too.
func (b *bridge) share(t *testing.T, web *meshtest.Machine, want float64) {
	t.Helper()
	tally := web.Ask(300, reviewsURL)
	tally.MustLoseNothing(t)
	tally.MustShare(t, "reviews", "prod-1", want, 0.08)
	namespace := map[bool]string{true: "shop", false: "store"}[web == b.web1]
	if callers := strings.Join(tally.Callers("reviews"), " "); callers != "spiffe://isthmus.local/ns/"+namespace+"/sa/web" {
		t.Errorf("reviews saw callers %q of %s", callers, web.Name)
	}
}

// inside has a header decide, for a service that lives in the cluster only.
func (b *bridge) inside(t *testing.T) {
	b.mesh.Apply(route("details", `  - matches: [{headers: [{name: x-broken, value: "yes"}]}]
    filters: [{type: RequestRedirect, requestRedirect: {statusCode: 302, hostname: elsewhere.example}}]
  - backendRefs: [{name: details, port: 9080}]`))
	meshtest.Eventually(t, "the header decides", func() error {
		if got := b.web2.Ask(5, "http://details:9080/", "--header", "x-broken: yes").Status(302); got != 5 {
			return fmt.Errorf("%d of 5 were redirected", got)
		}
		return nil
	})
	b.web2.Ask(20, "http://details:9080/").MustLoseNothing(t)
	b.mesh.Kubectl("delete", "httproute", "details", "--namespace=shop")
}

func (b *bridge) elsewhere(t *testing.T) {
	eventuallyAll(t, b.web1, "http://details:9080/", "details", "prod-1")
	eventuallyAll(t, b.web2.Machine, "http://ratings:9080/", "ratings", "dc1")
}

// failover takes the service away from the cluster and brings it back, then from the machine.
func (b *bridge) failover(t *testing.T) {
	b.scale(t, 0)
	eventuallyAll(t, b.web2.Machine, reviewsURL, "reviews", "dc1")
	b.scale(t, 1)
	eventuallyAll(t, b.web2.Machine, reviewsURL, "reviews", "prod-1")
	b.reviews.Kill()
	eventuallyAll(t, b.web1, reviewsURL, "reviews", "prod-1")
	b.reviews.Start()
	eventuallyAll(t, b.web1, reviewsURL, "reviews", "dc1")
}

// scale changes the number of pods of reviews.
func (b *bridge) scale(t *testing.T, pods int) {
	t.Helper()
	patch := fmt.Sprintf(`{"spec":{"replicas":%d}}`, pods)
	if _, err := b.prod.Core.AppsV1().Deployments("store").Patch(t.Context(), "reviews-prod-1", types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

var virtualServices = schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"}

// drift changes a generated object in the cluster, as somebody with kubectl does.
func (b *bridge) drift(t *testing.T) {
	b.mesh.Apply(weights("dc1", 50, "prod-1", 50))
	client := b.prod.Dynamic.Resource(virtualServices).Namespace("store")
	meshtest.Eventually(t, "the route is in the cluster", func() error {
		_, err := client.Get(t.Context(), "reviews", metav1.GetOptions{})
		return err
	})
	if _, err := client.Patch(t.Context(), "reviews", types.MergePatchType, []byte(`{"spec":{"hosts":["evil.example"]}}`),
		metav1.PatchOptions{FieldManager: "somebody"}); err != nil {
		t.Fatal(err)
	}
	meshtest.Eventually(t, "it is put back", func() error {
		object, err := client.Get(t.Context(), "reviews", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if hosts, _, _ := unstructured.NestedStringSlice(object.Object, "spec", "hosts"); strings.Join(hosts, " ") != "reviews.store.svc.cluster.local" {
			return fmt.Errorf("hosts are %v", hosts)
		}
		return nil
	})
	b.mesh.Says("changed by somebody")
	b.mesh.Kubectl("delete", "httproute", "reviews", "--namespace=shop")
}

// foreign has a team's own object in the way of one of ours.
func (b *bridge) foreign(t *testing.T) {
	b.prod.Apply(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {namespace: store, name: details}
spec: {hosts: [details], http: [{route: [{destination: {host: details}}]}]}`)
	b.mesh.Apply(route("details", `  - backendRefs: [{name: details, port: 9080}]
    timeouts: {request: 3s}`))
	meshtest.Eventually(t, "the route says what is in its way", func() error {
		out, err := b.mesh.TryKubectl("get", "httproute", "details", "--namespace=shop", "--output=jsonpath={.status.conditions}")
		if !strings.Contains(out, "managed by test") {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
	object, err := b.prod.Dynamic.Resource(virtualServices).Namespace("store").Get(t.Context(), "details", metav1.GetOptions{})
	if err != nil || len(object.GetLabels()) > 0 {
		t.Errorf("the team's object is now %v (%v)", object, err)
	}
}

package stories_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/meshtest"
	"github.com/isthmus-mesh/isthmus/meshtest/kube"
)

// TestReceipts asks a stock istiod what its proxies acknowledged: Programmed means of a cluster what it means of
// machines, that whoever is concerned runs it.
func TestReceipts(t *testing.T) {
	s := &receipts{bridge: &bridge{T: t, mesh: meshtest.New(t)}}
	s.build()
	s.mesh.Run(t, "a change proves that it arrived", s.arrives)
	s.mesh.Run(t, "what a proxy refuses hurts only itself", s.refused)
	s.mesh.Run(t, "a refused change leaves what was there", s.refusedDestination)
	s.mesh.Run(t, "who is cut off is waited for by name", s.cutOff)
	s.mesh.Run(t, "one of two istiods ends", s.oneIstiod)
	s.mesh.Run(t, "another edge takes over", s.takeOver)
}

// receipts is the story's stage: a cluster that is a zone of its own, with two versions of reviews.
type receipts struct {
	*bridge
	leader *meshtest.Process // the edge that writes
}

// shared has several edges of the cluster agree on one that writes.
const shared = "--lease-namespace=isthmus-system"

const receiptsIntent = `apiVersion: isthmus.dev/v1alpha1
kind: Workspace
metadata: {name: shop}
spec: {zones: [prod-1/store]}
`

func (s *receipts) build() {
	s.mesh.Hub()
	s.mesh.Isthmus("zone", "create", "prod-1", "--type=kubernetes", "--output=json") // its token is for production
	s.mesh.Apply(receiptsIntent)
	s.prod = kube.On(s.mesh, "prod")
	s.prod.InstallIstioCRDs()
	s.edge = s.mesh.Machine("prod-edge")
	s.leader = s.runEdge(s.edge, s.prod, shared)
	s.connected(1)
	s.prod.StartIstiod(kube.Istio{TrustDomain: "isthmus.local", CA: s.authority(), Replicas: 2})
	s.prod.StartKubelet()
	s.prod.Serve("store", "reviews", "v1")
	s.prod.Serve("store", "reviews", "v2")
	s.prod.Serve("store", "details", "v1")
	s.prod.Serve("store", "web", "v1", "--reviews=http://reviews:9080")
	s.prod.WaitPods(2, "store", "app=reviews")
	s.prod.WaitPod("store", "app=details")
	s.web2 = s.prod.WaitPod("store", "app=web")
}

// arrives counts at once, without waiting for anything but the receipt.
func (s *receipts) arrives(t *testing.T) {
	for _, share := range []int{0, 100, 30, 100, 0, 50} {
		began := time.Now()
		s.mesh.Apply(weights("v1", 100-share, "v2", share))
		applied := time.Now()
		s.mesh.Programmed("shop", "httproute/reviews")
		t.Logf("v2 gets %d %%: applied in %v, programmed %v later", share, applied.Sub(began).Round(time.Millisecond), time.Since(applied).Round(time.Millisecond))
		tally := s.web2.Ask(300, "http://reviews:9080/")
		tally.MustLoseNothing(t)
		tally.MustShare(t, "reviews", "v2", float64(share)/100, 0.1)
	}
}

func (s *receipts) cutOff(t *testing.T) {
	web, istiod := s.web2.Host, s.prod.Machine.Host
	s.mesh.LAN.Cut(web, istiod)
	s.mesh.LAN.Cut(istiod, web)
	s.mesh.Apply(weights("v1", 20, "v2", 80))
	meshtest.Eventually(t, "the route waits for web by name", func() error {
		text := s.mesh.Kubectl("get", "httproute/reviews", "--namespace=shop", "--output=yaml")
		if !strings.Contains(text, s.web2.Name) {
			return fmt.Errorf("%s", text)
		}
		return nil
	})
	s.mesh.Says("ISM4021", s.web2.Name)
	s.mesh.LAN.Heal(web, istiod)
	s.mesh.Programmed("shop", "httproute/reviews")
	s.web2.Ask(300, "http://reviews:9080/").MustShare(t, "reviews", "v2", 0.8, 0.1)
}

// oneIstiod ends one of the two istiods, which may still be there for all that the cluster says: nobody claims what it
// cannot say, until it is back.
func (s *receipts) oneIstiod(t *testing.T) {
	gone := s.prod.Replicas[1]
	had, err := gone.Proxies(t.Context())
	if err != nil || len(had) == 0 {
		t.Fatalf("%s has no proxies: %v", gone.Name, err)
	}
	gone.Kill()
	s.mesh.Apply(weights("v1", 60, "v2", 40))
	s.mesh.Says("ISM4023", gone.Machine.IPv4.String())
	if out, err := s.mesh.TryIsthmus("wait", "--for=condition=Programmed", "httproute/reviews", "--namespace=shop", "--timeout=1s"); err == nil {
		t.Errorf("programmed, though one istiod says nothing: %s", out)
	}
	s.web2.Ask(50, "http://reviews:9080/").MustLoseNothing(t)
	gone.Start()
	gone.WaitReady(s.prod)
	s.mesh.Programmed("shop", "httproute/reviews")
	s.web2.Ask(300, "http://reviews:9080/").MustShare(t, "reviews", "v2", 0.4, 0.1)
}

// takeOver kills the edge that writes: the other one learns what it needs, and proves what it writes.
func (s *receipts) takeOver(t *testing.T) {
	s.runEdge(s.mesh.Machine("prod-edge2"), s.prod, shared)
	meshtest.Eventually(t, "the second edge is there", func() error {
		if edges := s.mesh.Kubectl("get", "zone/prod-1", "--output=jsonpath={.status.edges}"); edges != "2" {
			return fmt.Errorf("%s edges", edges)
		}
		return nil
	})
	s.leader.Kill()
	for _, share := range []int{0, 100} {
		s.mesh.Apply(weights("v1", 100-share, "v2", share))
		s.mesh.Programmed("shop", "httproute/reviews")
		s.web2.Ask(100, "http://reviews:9080/").MustShare(t, "reviews", "v2", float64(share)/100, 0)
	}
}

// poisoned is a route for reviews with a match that Envoy refuses.
func poisoned(sane string) string {
	return strings.Replace(sane, "  rules:\n", `  rules:
  - matches: [{path: {type: RegularExpression, value: '/`+meshtest.TooLarge+`'}}]
    backendRefs: [{group: isthmus.dev, kind: Subset, name: reviews-v1, port: 9080}]
`, 1)
}

// refused applies two changes at once, of which Envoy refuses one, under load.
func (s *receipts) refused(t *testing.T) {
	tally, stop := meshtest.Load{URL: "http://" + s.address("reviews") + ":9080/", Rate: 50, Dial: s.web2.DialContext}.Start(t)
	began := time.Now()
	s.mesh.Apply(poisoned(weights("v1", 40, "v2", 60)) + "---\n" + timedOut("details", "7s"))
	s.mesh.Degraded("shop", "httproute/reviews", "program size")
	t.Logf("found after %v", time.Since(began).Round(time.Millisecond))
	s.mesh.Programmed("shop", "httproute/details")
	s.mesh.Apply(timedOut("details", "8s"))
	s.mesh.Programmed("shop", "httproute/details")
	s.mesh.Apply(weights("v1", 10, "v2", 90))
	s.mesh.Programmed("shop", "httproute/reviews")
	s.web2.Ask(300, "http://reviews:9080/").MustShare(t, "reviews", "v2", 0.9, 0.1)
	stop()
	tally.MustLoseNothing(t)
}

// refusedDestination takes a destination away by a change that Envoy refuses: the route that stays still leads somewhere.
func (s *receipts) refusedDestination(t *testing.T) {
	s.mesh.Apply(poisoned(somewhere("v1")))
	s.mesh.Degraded("shop", "httproute/reviews", "program size")
	tally := s.web2.Ask(300, "http://reviews:9080/")
	tally.MustLoseNothing(t)
	tally.MustShare(t, "reviews", "v2", 0.9, 0.1)
	if refused, err := s.prod.Refused(); err != nil || len(refused) > 0 {
		t.Errorf("%v: something is refused still: %v", err, refused)
	}
}

// timedOut is a route for a service with a timeout.
func timedOut(service, timeout string) string {
	return route(service, "  - backendRefs: [{name: "+service+", port: 9080}]\n    timeouts: {request: "+timeout+"}")
}

// address is the cluster's own of a service.
func (s *receipts) address(service string) string {
	s.Helper()
	found, err := s.prod.Core.CoreV1().Services("store").Get(s.Context(), service, metav1.GetOptions{})
	if err != nil {
		s.Fatal(err)
	}
	return found.Spec.ClusterIP
}

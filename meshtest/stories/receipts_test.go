package stories_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/meshtest"
	"github.com/isthmus-mesh/isthmus/meshtest/kube"
)

// TestReceipts asks a stock istiod what its proxies acknowledged: Programmed means of a cluster what it means of
// machines, that whoever is concerned runs it.
func TestReceipts(t *testing.T) {
	s := &receipts{bridge: &bridge{T: t, mesh: meshtest.New(t)}}
	s.build()
	s.mesh.Run(t, "a change proves that it arrived", s.arrives)
	s.mesh.Run(t, "who is cut off is waited for by name", s.cutOff)
}

// receipts is the story's stage: a cluster that is a zone of its own, with two versions of reviews.
type receipts struct {
	*bridge
}

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
	s.runEdge(s.edge, s.prod)
	meshtest.Eventually(s, "the cluster's edge is connected", func() error {
		out, err := s.mesh.TryIsthmus("zone", "list")
		if err == nil && !strings.Contains(out, "yes") {
			err = fmt.Errorf("%s", out)
		}
		return err
	})
	s.prod.StartIstiod(kube.Istio{TrustDomain: "isthmus.local", CA: s.authority()})
	s.prod.StartKubelet()
	s.prod.Serve("store", "reviews", "v1")
	s.prod.Serve("store", "reviews", "v2")
	s.prod.Serve("store", "details", "v1")
	s.prod.Serve("store", "web", "v1", "--reviews=http://reviews:9080")
	s.prod.WaitPods(2, "store", "app=reviews")
	s.prod.WaitPod("store", "app=details")
	s.web2 = s.prod.WaitPod("store", "app=web")
}

func versions(v1, v2 int) string {
	return route("reviews", fmt.Sprintf(`  - backendRefs:
    - {group: isthmus.dev, kind: Subset, name: reviews-v1, port: 9080, weight: %d}
    - {group: isthmus.dev, kind: Subset, name: reviews-v2, port: 9080, weight: %d}`, v1, v2))
}

// arrives counts at once, without waiting for anything but the receipt.
func (s *receipts) arrives(t *testing.T) {
	for _, share := range []int{0, 100, 30, 100, 0, 50} {
		began := time.Now()
		s.mesh.Apply(versions(100-share, share))
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
	s.mesh.Apply(versions(20, 80))
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

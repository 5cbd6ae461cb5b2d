package edge_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	networking "istio.io/api/networking/v1alpha3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/isthmus-mesh/isthmus/api/problem"
	. "github.com/isthmus-mesh/isthmus/edge/internal/zonetest"
	"github.com/isthmus-mesh/isthmus/edge/kube"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/meshtest"
	cluster "github.com/isthmus-mesh/isthmus/meshtest/kube"
)

const podYAML = `{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: shop, name: web}, spec: {ports: [{name: http, port: 80}]}}
---
{apiVersion: v1, kind: Pod, metadata: {namespace: shop, name: web-0}, spec: {serviceAccountName: web, containers: [{name: c, image: x}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {namespace: shop, name: web-1, labels: {kubernetes.io/service-name: web}}, addressType: IPv4,
  ports: [{name: http, port: 80}], endpoints: [{addresses: [10.1.0.1], targetRef: {kind: Pod, namespace: shop, name: web-0}}]}`

// An edge of a cluster configures it, also from its disk with the hub away, and tells what runs there.
func TestCluster(t *testing.T) {
	c := cluster.Start(t)
	c.InstallIstioCRDs()
	c.Apply(podYAML)
	objects := c.Dynamic.Resource(schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"}).Namespace("shop")
	has := func() bool { _, err := objects.Get(t.Context(), "web", metav1.GetOptions{}); return err == nil }
	h := newHub(t)
	config := h.config(filepath.Join(t.TempDir(), "edge"))
	config.Listen, config.Lease = "", 0
	config.Kubeconfig = c.KubeconfigFor("isthmus", "edge", append(kube.Rules(), kube.LeaseRules()...))
	config.LeaseNamespace = "isthmus"
	h.publish(
		resource(t, "Zone//dc1", &feedpb.ZoneInfo{Name: "dc1", Type: "kubernetes", Claims: []*feedpb.Claim{{Namespace: "shop", Workspace: "store"}}}),
		resource(t, "VirtualService/shop/web", &networking.VirtualService{Hosts: []string{"a.mesh"}, Http: []*networking.HTTPRoute{{Redirect: &networking.HTTPRedirect{Uri: "/"}}}}),
	)
	e := h.run(config)
	Eventually(t, "the object is there", has)
	Eventually(t, "its pod and its revision are told", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		w := h.workloads["web-0"]
		return w != nil && w.Workspace == "store" && w.Healthy && h.receipts["cluster"] == h.revision
	})
	e.stop()
	Check(t, objects.Delete(t.Context(), "web", metav1.DeleteOptions{}))
	h.stop()
	h.run(config)
	Eventually(t, "the object is there again without a hub", has)
	h.start(h.addr)
	Check(t, objects.Delete(t.Context(), "web", metav1.DeleteOptions{}))
	Eventually(t, "drift is told", h.complains(problem.DriftMended.Reason))
}

// An edge says when its zone is of the other type, and goes on when the zone is of its own.
func TestZoneOfTheOtherType(t *testing.T) {
	c := cluster.Start(t)
	kubeconfig := c.KubeconfigFor("isthmus", "edge", append(kube.Rules(), kube.LeaseRules()...))
	for _, c := range []struct{ own, other, kubeconfig string }{{"machines", "kubernetes", ""}, {"kubernetes", "machines", kubeconfig}} {
		t.Run(c.own, func(t *testing.T) {
			h := newHub(t)
			config := h.config(filepath.Join(t.TempDir(), "edge"))
			if config.Kubeconfig = c.kubeconfig; c.kubeconfig != "" {
				config.Listen, config.Lease = "", 0
			}
			h.publish(resource(t, "Zone//dc1", &feedpb.ZoneInfo{Name: "dc1", Type: c.other}))
			h.run(config)
			complains := h.complains(problem.ZoneTypeWrong.Reason)
			Eventually(t, "the other type is told", complains)
			h.publish(resource(t, "Zone//dc1", &feedpb.ZoneInfo{Name: "dc1", Type: c.own}))
			Eventually(t, "its own type is no trouble", func() bool { return !complains() })
		})
	}
}

// An edge that cannot read what a newer hub says of its zone says that, and does not take its cluster for machines.
func TestZoneUnread(t *testing.T) {
	c := cluster.Start(t)
	h := newHub(t)
	config := h.config(filepath.Join(t.TempDir(), "edge"))
	config.Kubeconfig = c.KubeconfigFor("isthmus", "edge", append(kube.Rules(), kube.LeaseRules()...))
	config.Listen, config.Lease = "", 0
	h.publish(resource(t, "Zone//dc1", &feedpb.Token{Name: "of another kind"}))
	h.run(config)
	unread, mistaken := h.complains(problem.ResourceUnreadable.Reason), h.complains(problem.ZoneTypeWrong.Reason)
	Eventually(t, "that is told", unread)
	meshtest.Holds(t, "the type is not told to be wrong", time.Second, func() error {
		if mistaken() {
			return errors.New("it is")
		}
		return nil
	})
	h.publish(resource(t, "Zone//dc1", &feedpb.ZoneInfo{Name: "dc1", Type: "kubernetes"}))
	Eventually(t, "what can be read is no trouble", func() bool { return !unread() && !mistaken() })
	h.publish(resource(t, "Zone//dc1", &feedpb.ZoneInfo{Name: "dc1", Type: "machines"}))
	Eventually(t, "the other type is told", mistaken)
}

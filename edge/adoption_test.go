package edge_test

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler"
	. "github.com/isthmus-mesh/isthmus/edge/internal/zonetest"
	"github.com/isthmus-mesh/isthmus/edge/kube"
	cluster "github.com/isthmus-mesh/isthmus/meshtest/kube"
)

// theirsYAML is a second service, and an object of theirs that has the name that ours would have.
const theirsYAML = `
---
{apiVersion: v1, kind: Service, metadata: {namespace: shop, name: api}, spec: {ports: [{name: http, port: 80}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {namespace: shop, name: api-1, labels: {kubernetes.io/service-name: api}}, addressType: IPv4,
  ports: [{name: http, port: 80}], endpoints: [{addresses: [10.1.0.1], targetRef: {kind: Pod, namespace: shop, name: web-0}}]}
---
{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {namespace: shop, name: web}, spec: {hosts: [web], http: [{redirect: {uri: /theirs}}]}}`

// A cluster that joins is looked at first, and not a byte of it changes; then its namespace is managed, and what is theirs stays.
func TestAdoption(t *testing.T) {
	c := cluster.Start(t)
	c.InstallIstioCRDs()
	c.Apply(podYAML + theirsYAML)
	h := newHub(t)
	config := h.config(filepath.Join(t.TempDir(), "edge"))
	config.Listen, config.Lease = "", 0
	config.Kubeconfig = c.KubeconfigFor("isthmus", "edge", append(kube.Rules(), kube.LeaseRules()...))
	config.LeaseNamespace = "isthmus"
	before := atRest(t, c)

	intent := compiler.New(compiler.Options{TrustDomain: Domain})
	h.follow(intent.Apply(1, []compiler.Change{
		{Kind: "Zone", Name: "dc1", Object: &v1alpha1.Zone{ObjectMeta: named("", "dc1"), Spec: v1alpha1.ZoneSpec{Type: v1alpha1.ZoneKubernetes}}},
		workspace(v1alpha1.WorkspaceSpec{Observe: []string{"dc1/shop"}}), routeTo("web"), routeTo("api"),
	}))
	h.run(config)
	h.follow(intent.Apply(2, h.waitServices("web", "api")))
	h.waitReceipt()
	after := atRest(t, c)
	if changed := differences(before, after); len(changed) != 1 || !strings.Contains(changed[0], "leases isthmus/") {
		t.Errorf("observing changed %v; want the edge's own lease only", changed)
	}

	h.follow(intent.Apply(3, []compiler.Change{workspace(v1alpha1.WorkspaceSpec{Zones: []string{"dc1/shop"}})}))
	h.waitReceipt()
	managed := atRest(t, c)
	for key, version := range before {
		if managed[key] != version {
			t.Errorf("%s was theirs and is now at %q", key, managed[key])
		}
	}
	if key := "networking.istio.io/v1 virtualservices shop/api"; managed[key] == "" {
		t.Errorf("no %s: %v", key, differences(before, managed))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rejections["VirtualService/shop/web"]
	if r == nil || !strings.Contains(r.Message, problem.ObjectTaken.Remedy) || r.Origins[0].Name != "web" {
		t.Errorf("the collision is told as %v", r)
	}
}

func named(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Generation: 1}
}

func workspace(spec v1alpha1.WorkspaceSpec) compiler.Change {
	return compiler.Change{Kind: "Workspace", Name: "store", Object: &v1alpha1.Workspace{ObjectMeta: named("", "store"), Spec: spec}}
}

// routeTo is a route of a service to itself.
func routeTo(service string) compiler.Change {
	var core gatewayv1.Group
	kind, port := gatewayv1.Kind("Service"), gatewayv1.PortNumber(80)
	route := &gatewayv1.HTTPRoute{ObjectMeta: named("store", service)}
	route.Spec.ParentRefs = []gatewayv1.ParentReference{{Group: &core, Kind: &kind, Name: gatewayv1.ObjectName(service)}}
	to := gatewayv1.BackendRef{BackendObjectReference: gatewayv1.BackendObjectReference{Name: gatewayv1.ObjectName(service), Port: &port}}
	route.Spec.Rules = []gatewayv1.HTTPRouteRule{{BackendRefs: []gatewayv1.HTTPBackendRef{{BackendRef: to}}}}
	return compiler.Change{Kind: "HTTPRoute", Namespace: "store", Name: service, Object: route}
}

// follow publishes what the compiler made.
func (h *hub) follow(out *compiler.Output) {
	h.t.Helper()
	h.mu.Lock()
	h.revision++
	revision := h.revision
	h.mu.Unlock()
	if delta := out.Zones["dc1"]; delta != nil {
		Check(h.t, h.feed.Publish("dc1", revision, time.Now(), delta.Upserts, delta.Removed))
		return
	}
	Check(h.t, h.feed.Publish("dc1", revision, time.Now(), nil, nil))
}

// waitServices waits until workloads of services of the workspace are told, and returns what the compiler is told of them.
func (h *hub) waitServices(names ...string) (found []compiler.Change) {
	h.t.Helper()
	Eventually(h.t, "the services are told", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		found = nil
		for _, w := range h.workloads {
			if w.Workspace == "store" && w.Healthy && slices.Contains(names, w.Service) {
				found = append(found, compiler.Change{Kind: compiler.KindDiscovered, Namespace: "store", Name: w.Service, Object: &compiler.Discovered{
					Workspace: "store", Name: w.Service, Ports: []compiler.DiscoveredPort{{Port: 80, Protocol: "http"}}, Zones: []string{"dc1"},
					Places: []compiler.DiscoveredPlace{{Zone: "dc1", Alive: true, Ports: map[int32]string{80: "http"}}},
				}})
			}
		}
		return len(found) == len(names)
	})
	return found
}

// waitReceipt waits until the cluster has the newest revision.
func (h *hub) waitReceipt() {
	h.t.Helper()
	Eventually(h.t, "the newest revision is in the cluster", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.receipts["cluster"] == h.revision
	})
}

// atRest is the version of every object of every kind of a cluster in which nothing happens any more, but for leases of
// Kubernetes' own.
func atRest(t *testing.T, c *cluster.Cluster) (all map[string]string) {
	t.Helper()
	Eventually(t, "the cluster is at rest", func() bool {
		before := all
		all = versions(t, c)
		return all["v1 configmaps shop/kube-root-ca.crt"] != "" && all["v1 configmaps isthmus/kube-root-ca.crt"] != "" &&
			len(differences(before, all)) == 0
	})
	return all
}

func versions(t *testing.T, c *cluster.Cluster) map[string]string {
	t.Helper()
	lists, err := c.Core.Discovery().ServerPreferredResources()
	Check(t, err)
	all := map[string]string{}
	for _, list := range lists {
		group, err := schema.ParseGroupVersion(list.GroupVersion)
		Check(t, err)
		for _, kind := range list.APIResources {
			if !slices.Contains(kind.Verbs, "list") {
				continue
			}
			objects, err := c.Dynamic.Resource(group.WithResource(kind.Name)).List(t.Context(), metav1.ListOptions{})
			Check(t, err)
			for _, o := range objects.Items {
				if kind.Name != "leases" || o.GetNamespace() != "kube-system" {
					all[list.GroupVersion+" "+kind.Name+" "+o.GetNamespace()+"/"+o.GetName()] = o.GetResourceVersion()
				}
			}
		}
	}
	return all
}

// differences are the keys by which two differ, sorted; those of leases count once, however often they are renewed.
func differences(before, after map[string]string) []string {
	changed := map[string]bool{}
	for key := range before {
		changed[key] = after[key] != before[key]
	}
	for key := range after {
		changed[key] = after[key] != before[key]
	}
	maps.DeleteFunc(changed, func(_ string, differs bool) bool { return !differs })
	return slices.Sorted(maps.Keys(changed))
}

package kube_test

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/isthmus-mesh/isthmus/api/direct"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler"
	"github.com/isthmus-mesh/isthmus/edge/kube"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	cluster "github.com/isthmus-mesh/isthmus/meshtest/kube"
)

// What a team applied to the hub as Istio has it stands in the namespace that its workspace claims, by the names that
// the cluster knows.
func testDirect(t *testing.T, c *cluster.Cluster) {
	namespaced(c, "store")
	z := newZone(t, c, "direct")
	compiled := compiler.New(compiler.Options{TrustDomain: "isthmus.local"})
	compiled.Apply(1, []compiler.Change{
		{Kind: "Zone", Name: "direct", Object: &v1alpha1.Zone{ObjectMeta: metav1.ObjectMeta{Name: "direct"}, Spec: v1alpha1.ZoneSpec{Type: v1alpha1.ZoneKubernetes}}},
		{Kind: "Workspace", Name: "shop", Object: &v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}, Spec: v1alpha1.WorkspaceSpec{Zones: []string{"direct/store"}}}},
		{Kind: compiler.KindDiscovered, Namespace: "shop", Name: "reviews", Object: &compiler.Discovered{Workspace: "shop", Name: "reviews", Zones: []string{"direct"},
			Ports: []compiler.DiscoveredPort{{Port: 9080, Protocol: "http"}}, Places: []compiler.DiscoveredPlace{{Zone: "direct", Alive: true}}}},
		written(direct.VirtualService, "testers", `{"hosts": ["reviews"], "http": [{"timeout": "2s", "route": [{"destination": {"host": "reviews.shop"}}]}]}`),
		written(direct.AuthorizationPolicy, "calm", `{"action": "DENY", "rules": [{"to": [{"operation": {"methods": ["DELETE"]}}]}]}`),
	})
	objects := slices.DeleteFunc(compiled.Zone("direct"), func(r *feedpb.Resource) bool {
		kind, _, _ := strings.Cut(r.Name, "/")
		return !direct.Is(kind)
	})
	z.apply(1, objects)
	z.waitApplied(1)
	route, err := in(c, "store").Get(t.Context(), "reviews", metav1.GetOptions{})
	check(t, err)
	hosts, _, err := unstructured.NestedStringSlice(route.Object, "spec", "hosts")
	check(t, err)
	if origin := route.GetAnnotations()[kube.OriginsAnnotation]; !slices.Equal(hosts, []string{"reviews.store.svc.cluster.local"}) || origin != "VirtualService/shop/testers" {
		t.Errorf("hosts %v, made from %s", hosts, origin)
	}
	policies := c.Dynamic.Resource(direct.Security.WithResource("authorizationpolicies")).Namespace("store")
	policy, err := policies.Get(t.Context(), "calm", metav1.GetOptions{})
	check(t, err)
	if action, _, _ := unstructured.NestedString(policy.Object, "spec", "action"); action != "DENY" {
		t.Errorf("the policy says %q", action)
	}
}

// written is an object of the workspace shop.
func written(kind, name, spec string) compiler.Change {
	object := &direct.Object{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Generation: 1}, Spec: runtime.RawExtension{Raw: []byte(spec)}}
	return compiler.Change{Kind: kind, Namespace: "shop", Name: name, Object: object}
}

package kube_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	networking "istio.io/api/networking/v1alpha3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/isthmus-mesh/isthmus/edge/kube"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	. "github.com/isthmus-mesh/isthmus/meshtest"
	cluster "github.com/isthmus-mesh/isthmus/meshtest/kube"
)

// TestCluster has one cluster for all that breaks nothing in it; each part has a zone and a namespace of its own.
func TestCluster(t *testing.T) {
	c := cluster.Start(t)
	c.InstallIstioCRDs()
	for name, part := range map[string]func(*testing.T, *cluster.Cluster){
		"Apply": testApply, "Restart": testRestart, "Edit": testEdit, "Deletion": testDeletion, "Addition": testAddition,
		"Collision": testCollision, "CollisionUntold": testCollisionUntold, "Foreign": testForeign, "Invalid": testInvalid, "Namespace": testNamespace, "Thousand": testThousand, "Handover": testHandover,
		"Certificates": testCertificates, "Replaced": testReplaced, "Direct": testDirect,
		"Inventory": testInventory, "Facts": testFacts, "Gateways": testGateways,
	} {
		t.Run(name, func(t *testing.T) { part(t, c) })
	}
}

func testApply(t *testing.T, c *cluster.Cluster) {
	namespaced(c, "apply")
	z := newZone(t, c, "apply")
	z.apply(1, []*feedpb.Resource{virtualService(t, "apply", "a", "one"), virtualService(t, "apply", "b", "one")})
	z.waitTarget("apply", "a", "one")
	u, err := in(c, "apply").Get(t.Context(), "a", metav1.GetOptions{})
	check(t, err)
	if l, a := u.GetLabels(), u.GetAnnotations(); l[kube.ManagedBy] != kube.Owner || l[kube.ZoneLabel] != "apply" || a[kube.OriginsAnnotation] != "HTTPRoute/shop/r spec" || a[kube.VersionAnnotation] == "" {
		t.Errorf("labels %v, annotations %v", l, a)
	}
	if writes := z.writes.Load(); writes != 2 {
		t.Errorf("two objects took %d writes", writes)
	}
	z.apply(2, []*feedpb.Resource{virtualService(t, "apply", "a", "one")})
	z.apply(3, []*feedpb.Resource{virtualService(t, "apply", "a", "two")}, "VirtualService/apply/b")
	z.waitTarget("apply", "a", "two")
	z.waitTarget("apply", "b", "")
	if writes := z.writes.Load(); writes != 4 {
		t.Errorf("an object as it is, one changed and one removed took %d writes, want 2", writes-2)
	}
	if len(z.drifts) > 0 || !slices.Equal(z.applied, []int64{1, 2, 3}) {
		t.Errorf("drifts %v, applied %v", z.drifts, z.applied)
	}
}

// After a restart nothing is written that is there, and what nobody wants any more goes.
func testRestart(t *testing.T, c *cluster.Cluster) {
	namespaced(c, "restart")
	z := newZone(t, c, "restart")
	stays, goes := virtualService(t, "restart", "stays", "one"), virtualService(t, "restart", "goes", "one")
	z.apply(1, []*feedpb.Resource{stays, goes})
	z.stop()
	again := newZone(t, c, "restart")
	Holds(t, "nothing is done before the first revision", 500*time.Millisecond, again.wrote(0))
	again.apply(2, []*feedpb.Resource{stays})
	z.waitTarget("restart", "goes", "")
	Holds(t, "nothing is written at rest", time.Second, again.wrote(1))
}

func (z *zone) wrote(n int32) func() error {
	return func() error {
		if got := z.writes.Load(); got != n {
			return fmt.Errorf("%d writes", got)
		}
		return nil
	}
}

func foreign(namespace, name string) string {
	return fmt.Sprintf(`{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {namespace: %s, name: %s, labels: {app.kubernetes.io/managed-by: isthmus}},
  spec: {hosts: [x.mesh], http: [{redirect: {authority: foreign}}]}}`, namespace, name)
}

// patch changes an object as somebody.
func patch(t *testing.T, c *cluster.Cluster, namespace, name, who, body string) {
	t.Helper()
	_, err := in(c, namespace).Patch(t.Context(), name, types.MergePatchType, []byte(body), metav1.PatchOptions{FieldManager: who})
	check(t, err)
}

func testEdit(t *testing.T, c *cluster.Cluster) {
	namespaced(c, "edit")
	z := newZone(t, c, "edit")
	z.apply(1, []*feedpb.Resource{virtualService(t, "edit", "a", "one")})
	patch(t, c, "edit", "a", "mallory", `{"spec":{"http":[{"redirect":{"authority":"evil"}}]}}`)
	z.waitTarget("edit", "a", "one")
	d := z.waitDrift("the edit is told", func(d kube.Drift) bool { return d.Manager == "mallory" })
	if d.Deleted || d.Resource != "VirtualService/edit/a" || !slices.Contains(d.Fields, "spec.http") || time.Since(d.Time) > time.Minute {
		t.Errorf("told %+v", d)
	}
	patch(t, c, "edit", "a", "mallory", `{"metadata":{"annotations":{"isthmus.dev/version":"1"}}}`)
	z.waitDrift("an edited annotation is told", func(d kube.Drift) bool { return slices.Contains(d.Fields, "metadata.annotations.isthmus.dev/version") })
	Holds(t, "then it is calm", time.Second, z.wrote(z.writes.Load()))
}

func testDeletion(t *testing.T, c *cluster.Cluster) {
	namespaced(c, "deletion")
	z := newZone(t, c, "deletion")
	z.apply(1, []*feedpb.Resource{virtualService(t, "deletion", "a", "one")})
	check(t, in(c, "deletion").Delete(t.Context(), "a", metav1.DeleteOptions{}))
	took := Eventually(t, "it is back", func() error {
		_, err := in(c, "deletion").Get(t.Context(), "a", metav1.GetOptions{})
		return err
	})
	t.Logf("back after %v", took)
	z.waitDrift("the deletion is told", func(d kube.Drift) bool { return d.Deleted && d.Resource == "VirtualService/deletion/a" })
}

// What others add, apply alone would leave in place.
func testAddition(t *testing.T, c *cluster.Cluster) {
	namespaced(c, "addition")
	z := newZone(t, c, "addition")
	z.apply(1, []*feedpb.Resource{virtualService(t, "addition", "a", "one")})
	patch(t, c, "addition", "a", "mallory", `{"spec":{"exportTo":["."]}}`)
	Eventually(t, "it is taken away", func() error {
		u, err := in(c, "addition").Get(t.Context(), "a", metav1.GetOptions{})
		check(t, err)
		if _, ok := u.Object["spec"].(map[string]any)["exportTo"]; ok {
			return errors.New("it is there")
		}
		return nil
	})
	z.waitDrift("the addition is told", func(d kube.Drift) bool {
		return d.Manager == "mallory" && slices.Equal(d.Fields, []string{"spec.exportTo"})
	})
	writes := z.writes.Load()
	patch(t, c, "addition", "a", "gitops", `{"metadata":{"annotations":{"gitops":"x"}},"status":{"x":1}}`)
	Holds(t, "what is none of ours is left alone", time.Second, z.wrote(writes))
}

func testForeign(t *testing.T, c *cluster.Cluster) {
	namespaced(c, "foreign")
	c.Apply(foreign("foreign", "a"))
	other := newZone(t, c, "foreign-other")
	other.apply(1, []*feedpb.Resource{virtualService(t, "foreign", "b", "other")})
	before, err := in(c, "foreign").List(t.Context(), metav1.ListOptions{})
	check(t, err)
	z := newZone(t, c, "foreign")
	z.apply(1, []*feedpb.Resource{virtualService(t, "foreign", "b", "mine"), virtualService(t, "foreign", "c", "one")})
	z.waitRejected("VirtualService/foreign/b", "managed by")
	z.apply(2, nil, "VirtualService/foreign/b", "VirtualService/foreign/c", "VirtualService/foreign/a")
	after, err := in(c, "foreign").List(t.Context(), metav1.ListOptions{})
	check(t, err)
	if diff := cmp.Diff(before.Items, after.Items); diff != "" {
		t.Errorf("objects of others changed:\n%s", diff)
	}
	z.SetClaims(nil)
	z.waitFacts("two of others", func(f *feedpb.Cluster) bool { return f.Unmanaged["VirtualService"] >= 2 })
}

func testInvalid(t *testing.T, c *cluster.Cluster) {
	namespaced(c, "invalid")
	z := newZone(t, c, "invalid")
	bad := resource(t, "VirtualService/invalid/bad", &networking.VirtualService{Http: []*networking.HTTPRoute{{Mirrors: []*networking.HTTPMirrorPolicy{{}}}}})
	unreadable := virtualService(t, "invalid", "unreadable", "x")
	unreadable.Body.TypeUrl = "type.googleapis.com/nothing.Known"
	z.apply(1, []*feedpb.Resource{bad, virtualService(t, "invalid", "good", "one"), unreadable})
	z.waitTarget("invalid", "good", "one")
	z.waitRejected("VirtualService/invalid/bad", "spec.http[0].mirrors[0].destination")
	z.waitRejected("VirtualService/invalid/unreadable", "nothing.Known")
	z.apply(2, []*feedpb.Resource{virtualService(t, "invalid", "bad", "two")}, "VirtualService/invalid/unreadable")
	z.waitTarget("invalid", "bad", "two")
	z.waitRejected("VirtualService/invalid/bad", "")
	z.waitRejected("VirtualService/invalid/unreadable", "")
	if told := z.told(); len(told) > 0 {
		t.Errorf("conditions %v", told)
	}
}

func testNamespace(t *testing.T, c *cluster.Cluster) {
	z := newZone(t, c, "space")
	z.apply(1, []*feedpb.Resource{virtualService(t, "space", "a", "one")})
	z.waitRejected("VirtualService/space/a", "no namespace space")
	namespaced(c, "space")
	z.waitTarget("space", "a", "one")
	z.waitRejected("VirtualService/space/a", "")
	check(t, c.Core.CoreV1().Namespaces().Delete(t.Context(), "space", metav1.DeleteOptions{}))
	z.waitRejected("VirtualService/space/a", "namespace space")
	Eventually(t, "the namespace is gone", func() error {
		if _, err := c.Core.CoreV1().Namespaces().Get(t.Context(), "space", metav1.GetOptions{}); err == nil {
			return errors.New("it is there")
		}
		return nil
	})
	namespaced(c, "space")
	z.waitTarget("space", "a", "one")
	if told := z.told(); len(told) > 0 {
		t.Errorf("conditions %v", told)
	}
}

func testThousand(t *testing.T, c *cluster.Cluster) {
	namespaced(c, "thousand")
	z := newZone(t, c, "thousand")
	var all []*feedpb.Resource
	for n := range 1000 {
		all = append(all, virtualService(t, "thousand", fmt.Sprint("vs-", n), "one"))
	}
	began := time.Now()
	z.apply(1, all)
	t.Logf("1,000 made in %v", time.Since(began))
	began = time.Now()
	check(t, in(c, "thousand").DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}))
	t.Logf("deleted in %v", time.Since(began))
	Eventually(t, "all are back", func() error {
		z.mu.Lock()
		defer z.mu.Unlock()
		if len(z.drifts) != 1000 {
			return fmt.Errorf("%d told", len(z.drifts))
		}
		return nil
	})
	t.Logf("back %v after the deletion began", time.Since(began))
	list, err := in(c, "thousand").List(t.Context(), metav1.ListOptions{})
	check(t, err)
	if len(list.Items) != 1000 {
		t.Errorf("%d are there", len(list.Items))
	}
	z.apply(2, nil, names(all)...)
}

func names(all []*feedpb.Resource) (list []string) {
	for _, r := range all {
		list = append(list, r.Name)
	}
	return list
}

func testHandover(t *testing.T, c *cluster.Cluster) {
	namespaced(c, "handover")
	shared := func(identity string) func(*kube.Config) {
		return func(config *kube.Config) {
			config.LeaseNamespace, config.Identity, config.Lease = "handover", identity, 3*time.Second
		}
	}
	first := newZone(t, c, "handover", shared("e1"))
	one := []*feedpb.Resource{virtualService(t, "handover", "a", "one")}
	first.apply(1, append(one, virtualService(t, "handover", "b", "one")))
	second := newZone(t, c, "handover", shared("e2"))
	check(t, second.Apply(1, append(one, virtualService(t, "handover", "b", "one")), nil))
	first.SetClaims(nil)
	second.SetClaims(nil)
	first.waitInventory()
	check(t, in(c, "handover").Delete(t.Context(), "a", metav1.DeleteOptions{}))
	first.waitDrift("the leader puts it back", func(kube.Drift) bool { return true })
	Holds(t, "the follower writes nothing", 500*time.Millisecond, second.wrote(0))
	if _, known := second.Cluster.Workloads(); known {
		t.Error("the follower tells an inventory")
	}
	first.apply(2, nil, "VirtualService/handover/b")
	check(t, second.Apply(2, nil, []string{"VirtualService/handover/b"}))
	first.stop()
	second.waitApplied(2)
	second.waitInventory()
	check(t, in(c, "handover").Delete(t.Context(), "a", metav1.DeleteOptions{}))
	second.waitDrift("its heir puts it back", func(kube.Drift) bool { return true })
	if !second.Leading() || first.Leading() {
		t.Error("who leads?")
	}
}

func testCertificates(t *testing.T, c *cluster.Cluster) {
	namespaced(c, "certificates")
	c.Apply("{apiVersion: v1, kind: Secret, metadata: {namespace: certificates, name: theirs}, stringData: {a: b}}")
	z := newZone(t, c, "certificates")
	z.apply(1, []*feedpb.Resource{
		resource(t, "Secret/certificates/ours", &feedpb.Secret{Certificate: []byte("c"), Key: []byte("k"), Ca: []byte("a")}),
		resource(t, "Secret/certificates/theirs", &feedpb.Secret{Ca: []byte("a")}),
		resource(t, "ConfigMap/certificates/roots", &feedpb.Secret{Ca: []byte("a")}),
	})
	s, err := c.Core.CoreV1().Secrets("certificates").Get(t.Context(), "ours", metav1.GetOptions{})
	check(t, err)
	if string(s.Type) != "kubernetes.io/tls" || string(s.Data["tls.key"]) != "k" || string(s.Data["ca.crt"]) != "a" {
		t.Errorf("secret %v", s)
	}
	z.waitRejected("Secret/certificates/theirs", "managed by test")
	check(t, c.Core.CoreV1().ConfigMaps("certificates").Delete(t.Context(), "roots", metav1.DeleteOptions{}))
	z.waitDrift("the deletion is told", func(d kube.Drift) bool { return d.Deleted && d.Resource == "ConfigMap/certificates/roots" })
	Holds(t, "then it is calm", time.Second, z.wrote(z.writes.Load()))
}

// Between a look at the cache and the write, an object may be replaced by another of its name.
func testReplaced(t *testing.T, c *cluster.Cluster) {
	namespaced(c, "replaced")
	c.Apply(foreign("replaced", "a"))
	before, err := in(c, "replaced").Get(t.Context(), "a", metav1.GetOptions{})
	check(t, err)
	z := newZone(t, c, "replaced")
	vs := virtualService(t, "replaced", "a", "one")
	for name, uid := range map[string]string{"another one": "b5d3c7c0-0000-4000-8000-000000000000", "none": ""} {
		err := z.ApplyOver(t.Context(), vs, uid)
		if !apierrors.IsConflict(err) {
			t.Errorf("written over where %s was seen: %v", name, err)
		}
	}
	check(t, in(c, "replaced").Delete(t.Context(), "a", metav1.DeleteOptions{}))
	if err := z.ApplyOver(t.Context(), vs, string(before.GetUID())); !apierrors.IsConflict(err) {
		t.Errorf("made anew where another one was seen: %v", err)
	}
	if _, err := in(c, "replaced").Get(t.Context(), "a", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("it is there: %v", err)
	}
}

package kube_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/edge/kube"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	. "github.com/isthmus-mesh/isthmus/meshtest"
	cluster "github.com/isthmus-mesh/isthmus/meshtest/kube"
)

// TestFaults breaks a cluster, one thing after another.
func TestFaults(t *testing.T) {
	c := cluster.Start(t)
	namespaced(c, "faults")
	rights(t, c)
	t.Run("no CRD", func(t *testing.T) { testKindMissing(t, c) })
	t.Run("CRD deleted", func(t *testing.T) { testKindDeleted(t, c) })
	t.Run("rights taken away", func(t *testing.T) { testForbidden(t, c) })
	t.Run("refused by policy", func(t *testing.T) { testPolicy(t, c) })
	t.Run("CRD older", func(t *testing.T) { testKindOlder(t, c) })
	t.Run("told to slow down", func(t *testing.T) { testTooMany(t, c) })
	t.Run("API server broken", func(t *testing.T) { testBroken(t, c) })
	t.Run("conflicts", func(t *testing.T) { testConflicts(t, c) })
	t.Run("API server away", func(t *testing.T) { testAway(t, c) })
	t.Run("restored from a backup", func(t *testing.T) { testRestored(t, c) })
}

// rights are exactly what the package says it needs.
func rights(t *testing.T, c *cluster.Cluster) string {
	t.Helper()
	return c.KubeconfigFor("isthmus", "edge", slices.Concat(kube.Rules(), kube.CertificateRules(), kube.LeaseRules()))
}

// restricted makes the zone's edge a user with no more than the rights it needs.
func restricted(t *testing.T, c *cluster.Cluster) func(*kube.Config) {
	return func(config *kube.Config) {
		access, err := clientcmd.BuildConfigFromFlags("", rights(t, c))
		check(t, err)
		config.REST = access
		config.LeaseNamespace, config.Identity = "isthmus", t.Name()
	}
}

func testKindMissing(t *testing.T, c *cluster.Cluster) {
	z := newZone(t, c, "crd", restricted(t, c))
	check(t, z.Apply(1, []*feedpb.Resource{virtualService(t, "faults", "crd", "one"), resource(t, "ConfigMap/faults/crd", &feedpb.Secret{Ca: []byte("a")})}, nil))
	z.waitCondition("Served/VirtualService", &problem.KindNotServed)
	Eventually(t, "the rest is there", func() error {
		_, err := c.Core.CoreV1().ConfigMaps("faults").Get(t.Context(), "crd", metav1.GetOptions{})
		return err
	})
	if z.Cluster.Applied() != 0 {
		t.Error("a revision without its objects counts as applied")
	}
	c.InstallIstioCRDs()
	z.waitTarget("faults", "crd", "one")
	z.waitApplied(1)
	Eventually(t, "the rights suffice", func() error {
		if told := z.told(); len(told) > 0 {
			return fmt.Errorf("conditions %v", told)
		}
		return nil
	})
}

func testKindDeleted(t *testing.T, c *cluster.Cluster) {
	z := newZone(t, c, "deleted", restricted(t, c))
	z.apply(1, []*feedpb.Resource{virtualService(t, "faults", "deleted", "one")})
	crds := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	check(t, c.Dynamic.Resource(crds).Delete(t.Context(), "virtualservices.networking.istio.io", metav1.DeleteOptions{}))
	z.waitCondition("Served/VirtualService", &problem.KindNotServed)
	c.InstallIstioCRDs()
	z.waitTarget("faults", "deleted", "one")
	z.waitCondition("Served/VirtualService", nil)
}

func testForbidden(t *testing.T, c *cluster.Cluster) {
	z := newZone(t, c, "forbidden", restricted(t, c))
	z.apply(1, []*feedpb.Resource{virtualService(t, "faults", "forbidden", "one")})
	roles := c.Core.RbacV1().ClusterRoles()
	role, err := roles.Get(t.Context(), "edge", metav1.GetOptions{})
	check(t, err)
	less := role.DeepCopy()
	for i, rule := range less.Rules {
		if rule.APIGroups[0] == "networking.istio.io" {
			less.Rules[i].Verbs = []string{"list", "watch"}
		}
	}
	less, err = roles.Update(t.Context(), less, metav1.UpdateOptions{})
	check(t, err)
	Eventually(t, "the rights are gone", func() error {
		check(t, z.Apply(2, []*feedpb.Resource{virtualService(t, "faults", "forbidden", time.Now().Format("two-150405.000"))}, nil))
		if z.told()["Access/VirtualService"] == "" {
			return errors.New("nothing is told")
		}
		return nil
	})
	check(t, z.Apply(3, []*feedpb.Resource{virtualService(t, "faults", "forbidden", "three"), resource(t, "ConfigMap/faults/forbidden", &feedpb.Secret{Ca: []byte("a")})}, nil))
	z.waitCondition("Access/VirtualService", &problem.ClusterForbids)
	Eventually(t, "the rest is there", func() error {
		_, err := c.Core.CoreV1().ConfigMaps("faults").Get(t.Context(), "forbidden", metav1.GetOptions{})
		return err
	})
	less.Rules = role.Rules
	_, err = roles.Update(t.Context(), less, metav1.UpdateOptions{})
	check(t, err)
	z.waitTarget("faults", "forbidden", "three")
	z.waitCondition("Access/VirtualService", nil)
	z.waitApplied(3)
}

// testKindOlder has the cluster lack a field that ours knows: the object is refused by name, the rest goes on.
func testKindOlder(t *testing.T, c *cluster.Cluster) {
	z := newZone(t, c, "older", restricted(t, c))
	z.apply(1, []*feedpb.Resource{virtualService(t, "faults", "older", "one")})
	crds := c.Dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	crd, err := crds.Get(t.Context(), "virtualservices.networking.istio.io", metav1.GetOptions{})
	check(t, err)
	versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
	check(t, err)
	for _, version := range versions {
		unstructured.RemoveNestedField(version.(map[string]any), "schema", "openAPIV3Schema", "properties", "spec", "properties", "http", "items", "properties", "redirect")
	}
	check(t, unstructured.SetNestedSlice(crd.Object, versions, "spec", "versions"))
	_, err = crds.Update(t.Context(), crd, metav1.UpdateOptions{})
	check(t, err)
	Eventually(t, "the older kind is in force", func() error {
		_ = z.Apply(2, []*feedpb.Resource{virtualService(t, "faults", "older", time.Now().Format("two-150405.000"))}, nil)
		if len(z.Rejections()) == 0 {
			return errors.New("nothing is refused")
		}
		return nil
	})
	z.waitRejected("VirtualService/faults/older", "redirect")
	z.waitApplied(2)
	z.apply(3, []*feedpb.Resource{resource(t, "ConfigMap/faults/older", &feedpb.Secret{Ca: []byte("a")})})
	Eventually(t, "the rest is there", func() error {
		_, err := c.Core.CoreV1().ConfigMaps("faults").Get(t.Context(), "older", metav1.GetOptions{})
		return err
	})
	c.InstallIstioCRDs()
	z.apply(4, []*feedpb.Resource{virtualService(t, "faults", "older", "four")})
	z.waitTarget("faults", "older", "four")
	z.waitRejected("VirtualService/faults/older", "")
}

func testAway(t *testing.T, c *cluster.Cluster) {
	z := newZone(t, c, "away", restricted(t, c))
	z.apply(1, []*feedpb.Resource{virtualService(t, "faults", "away", "one"), virtualService(t, "faults", "goes", "one")})
	c.API.Kill()
	z.waitCondition("Cluster", &problem.ClusterAway)
	check(t, z.Apply(2, []*feedpb.Resource{virtualService(t, "faults", "away", "two")}, []string{"VirtualService/faults/goes"}))
	if z.Cluster.Applied() != 1 {
		t.Error("a revision counts as applied while nobody answers")
	}
	c.API.Start()
	c.WaitReady()
	z.waitTarget("faults", "away", "two")
	z.waitTarget("faults", "goes", "")
	z.waitApplied(2)
	z.waitCondition("Cluster", nil)
	Eventually(t, "a change after that is seen", func() error {
		err := in(c, "faults").Delete(context.Background(), "away", metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			err = nil
		}
		return err
	})
	z.waitDrift("and mended", func(d kube.Drift) bool { return d.Deleted })
}

// A cluster that was restored counts its changes from a lower number: watches that went on from where they were would
// hear of nothing for a long time.
func testRestored(t *testing.T, c *cluster.Cluster) {
	z := newZone(t, c, "restored", restricted(t, c))
	z.apply(1, []*feedpb.Resource{virtualService(t, "faults", "kept", "one"), virtualService(t, "faults", "ends", "one")})
	c.Backup()
	z.apply(2, []*feedpb.Resource{virtualService(t, "faults", "kept", "two"), virtualService(t, "faults", "late", "two")}, "VirtualService/faults/ends")
	c.Restore()
	z.waitTarget("faults", "kept", "two")
	z.waitTarget("faults", "late", "two")
	z.waitTarget("faults", "ends", "")
	z.apply(3, []*feedpb.Resource{virtualService(t, "faults", "kept", "three")})
	z.waitTarget("faults", "kept", "three")
}

const policyYAML = `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: redirects}, spec: {
  matchConstraints: {resourceRules: [{apiGroups: [networking.istio.io], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [virtualservices]}]},
  validations: [{expression: "object.metadata.name != 'policed' || object.spec.http[0].redirect.authority.startsWith('good')", message: "only good places", reason: Forbidden}]}}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: redirects}, spec: {policyName: redirects, validationActions: [Deny]}}
`

// A policy of the cluster forbids an object, which is not the same as forbidding us to write.
func testPolicy(t *testing.T, c *cluster.Cluster) {
	z := newZone(t, c, "policy", restricted(t, c))
	z.apply(1, []*feedpb.Resource{virtualService(t, "faults", "policed", "good")})
	c.Apply(policyYAML)
	Eventually(t, "the policy is in force", func() error {
		_ = z.Apply(2, []*feedpb.Resource{virtualService(t, "faults", "policed", time.Now().Format("bad-150405.000"))}, nil)
		if len(z.Rejections()) == 0 {
			return errors.New("nothing is refused")
		}
		return nil
	})
	z.waitRejected("VirtualService/faults/policed", "only good places")
	z.waitApplied(2)
	if told := z.told(); len(told) > 0 {
		t.Errorf("conditions %v", told)
	}
	z.apply(3, []*feedpb.Resource{virtualService(t, "faults", "policed", "good again")})
	z.waitTarget("faults", "policed", "good again")
	z.waitRejected("VirtualService/faults/policed", "")
}

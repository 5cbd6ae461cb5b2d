package kube_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/edge/kube"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	. "github.com/isthmus-mesh/isthmus/meshtest"
	cluster "github.com/isthmus-mesh/isthmus/meshtest/kube"
)

// An object of others that is in the way stays as it is and is told so by one Event, also across restarts and when
// somebody edits it; when it goes, ours takes its place.
func testCollision(t *testing.T, c *cluster.Cluster) {
	namespaced(c, "taken")
	c.Apply(foreign("taken", "mine"))
	before := foreigner(t, c, "taken")
	z := newZone(t, c, "taken", restricted(t, c))
	z.apply(1, []*feedpb.Resource{virtualService(t, "taken", "mine", "one"), virtualService(t, "taken", "other", "one")})
	if r := z.waitRejected("VirtualService/taken/mine", "managed by test"); len(r.Origins) != 1 {
		t.Errorf("rejection %v", r)
	}
	z.waitTarget("taken", "other", "one")
	e := waitEvent(t, c, before, 1)
	if e.Type != corev1.EventTypeWarning || e.Reason != "ObjectTaken" || e.InvolvedObject.Name != "mine" || e.InvolvedObject.Kind != "VirtualService" ||
		!strings.Contains(e.Message, "HTTPRoute/shop/r spec") || !strings.Contains(e.Message, problem.ObjectTaken.Remedy) {
		t.Errorf("told %+v", e)
	}
	if diff := cmp.Diff(before.Object, foreigner(t, c, "taken").Object); diff != "" {
		t.Errorf("an object of others changed:\n%s", diff)
	}
	writes := z.writes.Load()
	patch(t, c, "taken", "mine", "gitops", `{"metadata":{"annotations":{"gitops":"x"}}}`)
	Holds(t, "nothing is told twice", time.Second, z.wrote(writes))
	z.stop()
	again := newZone(t, c, "taken", restricted(t, c))
	again.apply(2, []*feedpb.Resource{virtualService(t, "taken", "mine", "one"), virtualService(t, "taken", "other", "one")})
	waitEvent(t, c, before, 2)
	check(t, in(c, "taken").Delete(t.Context(), "mine", metav1.DeleteOptions{}))
	again.waitTarget("taken", "mine", "one")
	again.waitRejected("VirtualService/taken/mine", "")
	if told := again.told(); len(told) > 0 {
		t.Errorf("the rights do not suffice: %v", told)
	}
}

// Without the right to make Events, that is told once and the rest goes on; with it, the other objects hear.
func testCollisionUntold(t *testing.T, c *cluster.Cluster) {
	namespaced(c, "untold")
	for _, name := range []string{"mine", "too"} {
		c.Apply(foreign("untold", name))
	}
	rules := slices.DeleteFunc(kube.Rules(), func(r rbacv1.PolicyRule) bool { return slices.Contains(r.Resources, "events") })
	access, err := clientcmd.BuildConfigFromFlags("", c.KubeconfigFor("isthmus", "edge-untold", rules))
	check(t, err)
	z := newZone(t, c, "untold", func(config *kube.Config) { config.REST = access })
	z.apply(1, []*feedpb.Resource{virtualService(t, "untold", "mine", "one"), virtualService(t, "untold", "too", "one"), virtualService(t, "untold", "other", "one")})
	z.waitTarget("untold", "other", "one")
	z.waitRejected("VirtualService/untold/mine", "managed by test")
	z.waitRejected("VirtualService/untold/too", "managed by test")
	z.waitCondition("Access/Event", &problem.ClusterForbids)
	z.apply(2, []*feedpb.Resource{virtualService(t, "untold", "other", "two")})
	z.waitTarget("untold", "other", "two")
	z.mu.Lock()
	if z.tellings["Access/Event"] != 1 {
		t.Errorf("told %d times", z.tellings["Access/Event"])
	}
	z.mu.Unlock()
	roles := c.Core.RbacV1().ClusterRoles()
	role, err := roles.Get(t.Context(), "edge-untold", metav1.GetOptions{})
	check(t, err)
	role.Rules = kube.Rules()
	_, err = roles.Update(t.Context(), role, metav1.UpdateOptions{})
	check(t, err)
	Eventually(t, "they are told", func() error {
		for _, name := range []string{"mine", "too"} { // an edit has them looked at at once, not after half a minute
			patch(t, c, "untold", name, "test", fmt.Sprintf(`{"metadata":{"annotations":{"at":"%d"}}}`, time.Now().UnixNano()))
		}
		if told := z.told(); len(told) > 0 {
			return fmt.Errorf("conditions %v", told)
		}
		return nil
	})
	waitEvent(t, c, foreigner(t, c, "untold"), 1)
}

// foreigner is the object "mine" of somebody else.
func foreigner(t *testing.T, c *cluster.Cluster, namespace string) *unstructured.Unstructured {
	t.Helper()
	u, err := in(c, namespace).Get(t.Context(), "mine", metav1.GetOptions{})
	check(t, err)
	return u
}

// waitEvent waits until an object has one Event, that is told so many times.
func waitEvent(t *testing.T, c *cluster.Cluster, about *unstructured.Unstructured, times int32) corev1.Event {
	t.Helper()
	var found corev1.Event
	Eventually(t, fmt.Sprintf("%s is told %d times", about.GetName(), times), func() error {
		all, err := c.Core.CoreV1().Events(about.GetNamespace()).List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(about.GetUID())})
		check(t, err)
		if len(all.Items) != 1 {
			return fmt.Errorf("%d Events", len(all.Items))
		}
		if found = all.Items[0]; found.Count != times {
			return errors.New(found.String())
		}
		return nil
	})
	return found
}

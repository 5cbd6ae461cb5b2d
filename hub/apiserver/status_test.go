package apiserver

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

const serviceX = `{apiVersion: isthmus.dev/v1alpha1, kind: Service, metadata: {name: x}}`

// programmed is a status with conditions, all of one state.
func programmed(state string, names ...string) map[string]any {
	var conditions []any
	for _, name := range names {
		conditions = append(conditions, map[string]any{
			"type": name, "status": state, "reason": "Because", "message": "", "lastTransitionTime": "2026-11-21T12:00:00Z", "observedGeneration": 1,
		})
	}
	return map[string]any{"conditions": conditions}
}

func getObject(t *testing.T, plural, namespace, name string) *unstructured.Unstructured {
	t.Helper()
	o, err := world.objects.Resource(resourceOf(plural)).Namespace(namespace).Get(t.Context(), name, metav1.GetOptions{})
	check(t, err)
	return o
}

func TestPatchStatus(t *testing.T) {
	workspace := newWorkspace(t)
	made := apply(t, "services", workspace, serviceX)
	check(t, world.PatchStatus(t.Context(), "Service", workspace, "x", made.GetUID(), programmed("True", "Programmed")))
	got := getObject(t, "services", workspace, "x")
	if text := fmt.Sprint(got.Object["status"]); !contains(text, "type:Programmed") || !contains(text, "status:True") {
		t.Errorf("status is %s", text)
	}
	t.Run("what is said already is not written", func(t *testing.T) {
		check(t, world.PatchStatus(t.Context(), "Service", workspace, "x", "", programmed("True", "Programmed")))
		if now := getObject(t, "services", workspace, "x"); now.GetResourceVersion() != got.GetResourceVersion() {
			t.Error("it was written again")
		}
	})
	for name, c := range map[string]struct {
		kind, object string
		uid          types.UID
		status       any
		want         string
	}{
		"another object of the name": {"Service", "x", "5e1f0000-0000-0000-0000-000000000000", programmed("True", "Programmed"), "was deleted and created again"},
		"no such object":             {"Service", "y", "", programmed("True", "Programmed"), "not found"},
		"no such kind":               {"Pod", "x", "", programmed("True", "Programmed"), "no kind of the stream"},
		"a kind without status":      {"ReferenceGrant", "x", "", programmed("True", "Programmed"), "has no status"},
		"not what the schema allows": {"Service", "x", "", programmed("Perhaps", "Programmed"), `Unsupported value: "Perhaps"`},
		"a key twice":                {"Service", "x", "", programmed("False", "Programmed", "Programmed"), "Duplicate value"},
		"no object":                  {"Service", "x", "", "good", "cannot unmarshal"},
	} {
		if c.kind == "ReferenceGrant" {
			apply(t, "referencegrants", workspace, `{apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {name: x},
				spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: other}], to: [{group: "", kind: Service}]}}`)
		}
		if err := world.PatchStatus(t.Context(), c.kind, workspace, c.object, c.uid, c.status); err == nil || !contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	t.Run("what the schema does not know is left out", func(t *testing.T) {
		check(t, world.PatchStatus(t.Context(), "Service", workspace, "x", "", map[string]any{"mood": "fine"}))
		if text := storedText(t, "Service", workspace, "x"); contains(text, "mood") {
			t.Error(text)
		}
	})
}

// storedText is an object in etcd, as text.
func storedText(t *testing.T, kind, namespace, name string) string {
	t.Helper()
	k, err := kindNamed(kind)
	check(t, err)
	found, err := world.etcd.client.Get(t.Context(), place{k, namespace, name}.key())
	check(t, err)
	if len(found.Kvs) == 0 {
		t.Fatalf("%s %s/%s is not stored", kind, namespace, name)
	}
	return string(found.Kvs[0].Value)
}

// A status written from an older reading is not stored.
func TestStatusLosesNoWrite(t *testing.T) {
	workspace := newWorkspace(t)
	made := apply(t, "services", workspace, serviceX)
	k, err := kindNamed("Service")
	check(t, err)
	late := func(t *testing.T, meanwhile func()) {
		t.Helper()
		o, err := world.statuses.read(t.Context(), place{k, workspace, "x"})
		check(t, err)
		_, err = world.statuses.change(o, "", programmed("True", "Late"))
		check(t, err)
		meanwhile()
		if written, err := world.statuses.write(t.Context(), o); written || err != nil {
			t.Errorf("written %v, %v", written, err)
		}
	}
	t.Run("a user's write between", func(t *testing.T) {
		late(t, func() {
			apply(t, "services", workspace, `{apiVersion: isthmus.dev/v1alpha1, kind: Service, metadata: {name: x, labels: {team: blue}}}`)
		})
		check(t, world.PatchStatus(t.Context(), "Service", workspace, "x", made.GetUID(), programmed("True", "Programmed")))
		if got := getObject(t, "services", workspace, "x"); got.GetLabels()["team"] != "blue" || !contains(fmt.Sprint(got.Object["status"]), "Programmed") {
			t.Errorf("got %v", got.Object)
		}
	})
	t.Run("deleted meanwhile", func(t *testing.T) {
		remove := func() {
			check(t, world.objects.Resource(resourceOf("services")).Namespace(workspace).Delete(t.Context(), "x", metav1.DeleteOptions{}))
		}
		late(t, remove)
		err := world.PatchStatus(t.Context(), "Service", workspace, "x", made.GetUID(), programmed("True", "Programmed"))
		if !apierrors.IsNotFound(err) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("deleted and created again", func(t *testing.T) {
		apply(t, "services", workspace, serviceX)
		err := world.PatchStatus(t.Context(), "Service", workspace, "x", made.GetUID(), programmed("True", "Programmed"))
		if !apierrors.IsConflict(err) || contains(storedText(t, "Service", workspace, "x"), "Programmed") {
			t.Errorf("got %v", err)
		}
	})
}

// Many users and many statuses at a time: all of them are there at the end.
func TestStatusAmongManyWrites(t *testing.T) {
	workspace := newWorkspace(t)
	apply(t, "services", workspace, serviceX)
	const many = 20
	var writing sync.WaitGroup
	failed := make(chan error, 2*many)
	for i := range many {
		writing.Go(func() {
			_, err := world.objects.Resource(resourceOf("services")).Namespace(workspace).Patch(t.Context(), "x", types.MergePatchType,
				fmt.Appendf(nil, `{"metadata":{"labels":{"l%d":"v"}}}`, i), metav1.PatchOptions{})
			failed <- err
		})
		writing.Go(func() {
			failed <- world.PatchStatus(t.Context(), "Service", workspace, "x", "", programmed("True", fmt.Sprintf("C%d", i)))
		})
	}
	writing.Wait()
	close(failed)
	for err := range failed {
		check(t, err)
	}
	got := getObject(t, "services", workspace, "x")
	if len(got.GetLabels()) != many || got.GetGeneration() != 1 || !contains(fmt.Sprint(got.Object["status"]), "type:C") {
		t.Errorf("got %v", got.Object)
	}
}

// Who watches the API sees a status at once, with the resourceVersion that a client may go on from.
func TestStatusIsSeenByWatchers(t *testing.T) {
	workspace := newWorkspace(t)
	made := apply(t, "services", workspace, serviceX)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	w, err := world.objects.Resource(resourceOf("services")).Namespace(workspace).Watch(ctx, metav1.ListOptions{ResourceVersion: made.GetResourceVersion()})
	check(t, err)
	defer w.Stop()
	check(t, world.PatchStatus(ctx, "Service", workspace, "x", made.GetUID(), programmed("True", "Programmed")))
	event, open := <-w.ResultChan()
	if !open {
		t.Fatal("the watch ended without an event")
	}
	seen := event.Object.(*unstructured.Unstructured)
	if !contains(fmt.Sprint(seen.Object["status"]), "type:Programmed") {
		t.Errorf("got %v", seen.Object)
	}
	if now := getObject(t, "services", workspace, "x"); now.GetResourceVersion() != seen.GetResourceVersion() || seen.GetResourceVersion() == made.GetResourceVersion() {
		t.Errorf("resourceVersion %s, seen %s", now.GetResourceVersion(), seen.GetResourceVersion())
	}
	seen.SetLabels(map[string]string{"team": "blue"})
	_, err = world.objects.Resource(resourceOf("services")).Namespace(workspace).Update(ctx, seen, metav1.UpdateOptions{})
	check(t, err)
	t.Run("an update from before is a conflict", func(t *testing.T) {
		_, err := world.objects.Resource(resourceOf("services")).Namespace(workspace).Update(ctx, made, metav1.UpdateOptions{})
		if !apierrors.IsConflict(err) {
			t.Errorf("got %v", err)
		}
	})
}

package apiserver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
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

// What we store is, byte for byte, what the API server stores when it is asked: its fields, their owners and their form.
func TestStatusIsStoredAsTheAPIServerWould(t *testing.T) {
	route := `{"parents": [{"parentRef": {"name": "x"}, "controllerName": "isthmus.dev/hub", "conditions": %[1]s}], "conditions": %[1]s}`
	for _, c := range []struct {
		kind, plural, object string
		statuses             []string
	}{
		{"Service", "services", `{apiVersion: isthmus.dev/v1alpha1, kind: Service, metadata: {name: NAME}, spec: {ports: [{port: 80, protocol: http}]}}`, []string{
			`{"conditions": [A]}`, `{"conditions": [B, C]}`, `{"conditions": [C]}`,
		}},
		{"HTTPRoute", "httproutes", `{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: NAME, annotations: {note: "<&>"}},
			spec: {parentRefs: [{name: x}]}}`, []string{fmt.Sprintf(route, "[A]"), fmt.Sprintf(route, "[B, C]")}},
		{"Tenant", "tenants", `{apiVersion: isthmus.dev/v1alpha1, kind: Tenant, metadata: {name: NAME}}`, []string{`{"conditions": [A]}`}},
		{"Gateway", "gateways", `{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: NAME},
			spec: {gatewayClassName: isthmus, listeners: [{name: l, port: 80, protocol: HTTP}]}}`, []string{
			`{"conditions": [A], "listeners": [{"name": "l", "attachedRoutes": 0, "supportedKinds": [], "conditions": [A]}]}`,
			`{"conditions": [B], "listeners": [{"name": "l", "attachedRoutes": 1, "supportedKinds": [{"kind": "HTTPRoute"}], "conditions": [B, C]}]}`,
		}},
		{"VirtualService", "virtualservices", `{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: NAME},
			spec: {hosts: [x], http: [{route: [{destination: {host: x}}]}]}}`, []string{`{"conditions": [A]}`, `{"conditions": [B, C]}`}},
	} {
		t.Run(c.kind, func(t *testing.T) {
			workspace := newWorkspace(t)
			if c.kind == "Tenant" {
				workspace = ""
			}
			for _, name := range []string{"asked", "written"} {
				_, err := create(t, c.plural, workspace, strings.Replace(c.object, "NAME", name, 1))
				check(t, err)
			}
			for _, status := range c.statuses {
				status = strings.NewReplacer("A", conditionText("Accepted", "True"), "B", conditionText("Accepted", "False"), "C", conditionText("Programmed", "True")).Replace(status)
				_, err := world.clients.dynamic.Resource(resourceOf(c.plural)).Namespace(workspace).Patch(t.Context(), "asked", types.MergePatchType,
					[]byte(`{"status":`+status+`}`), metav1.PatchOptions{FieldManager: fieldManager}, "status")
				check(t, err)
				var document map[string]any
				check(t, yaml.Unmarshal([]byte(status), &document))
				check(t, world.PatchStatus(t.Context(), c.kind, workspace, "written", "", document))
				asked, written := settled(storedText(t, c.kind, workspace, "asked")), settled(storedText(t, c.kind, workspace, "written"))
				if c.kind == "Gateway" {
					asked, written = withoutOwner(asked), withoutOwner(written)
				}
				if asked != written {
					t.Errorf("the API server stores\n%s\nwe store\n%s", asked, written)
				}
			}
		})
	}
}

func conditionText(name, state string) string {
	return fmt.Sprintf(`{"type":%q,"status":%q,"reason":"B","message":"","lastTransitionTime":"2026-11-21T12:00:00Z"}`, name, state)
}

// withoutOwner takes the entry of the hub's own update out of a Gateway: its status has defaults, which the hub owns
// when it wrote the same.
func withoutOwner(text string) string {
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		return err.Error()
	}
	o.SetManagedFields(slices.DeleteFunc(o.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool { return e.Manager == fieldManager }))
	return fmt.Sprint(o.Object)
}

// settled takes out of a stored object what two objects cannot have in common.
func settled(text string) string {
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		return err.Error()
	}
	remove := []string{string(o.GetUID()), `"` + o.GetName() + `"`}
	entries, _ := o.Object["metadata"].(map[string]any)["managedFields"].([]any)
	for _, e := range entries {
		remove = append(remove, e.(map[string]any)["time"].(string))
	}
	remove = append(remove, o.GetCreationTimestamp().UTC().Format(time.RFC3339))
	for _, r := range remove {
		text = strings.ReplaceAll(text, r, "")
	}
	return text
}

func TestStatusTakesFieldsFromOthers(t *testing.T) {
	workspace := newWorkspace(t)
	apply(t, "services", workspace, serviceX)
	by := func(manager string, name string) {
		t.Helper()
		_, err := world.objects.Resource(resourceOf("services")).Namespace(workspace).Patch(t.Context(), "x", types.MergePatchType,
			[]byte(`{"status":{"conditions":[`+conditionText(name, "False")+`]}}`), metav1.PatchOptions{FieldManager: manager}, "status")
		check(t, err)
	}
	by("somebody", "Programmed")
	check(t, world.PatchStatus(t.Context(), "Service", workspace, "x", "", programmed("True", "Programmed")))
	for _, e := range getObject(t, "services", workspace, "x").GetManagedFields() {
		if e.Manager == "somebody" && contains(string(e.FieldsV1.Raw), "f:reason") {
			t.Errorf("still somebody else's: %s", e.FieldsV1.Raw)
		}
	}
	by("somebody", "Accepted") // the API server can read what we noted
	for _, e := range getObject(t, "services", workspace, "x").GetManagedFields() {
		if e.Manager == fieldManager && contains(string(e.FieldsV1.Raw), "Programmed") {
			t.Errorf("still the hub's, and not there any more: %s", e.FieldsV1.Raw)
		}
	}
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

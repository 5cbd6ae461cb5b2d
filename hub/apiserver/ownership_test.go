package apiserver

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

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

// ownedBy is what a manager owns of the status of a Service, as managedFields has it.
func ownedBy(t *testing.T, manager, workspace, name string) string {
	t.Helper()
	for _, e := range getObject(t, "services", workspace, name).GetManagedFields() {
		if e.Manager == manager && e.Subresource == "status" {
			return string(e.FieldsV1.Raw)
		}
	}
	return ""
}

func TestStatusTakesFieldsFromOthers(t *testing.T) {
	workspace := newWorkspace(t)
	apply(t, "services", workspace, `{apiVersion: isthmus.dev/v1alpha1, kind: Service, metadata: {name: x}, spec: {ports: [{port: 80, protocol: http}]}}`)
	somebody := func(names ...string) {
		t.Helper()
		var conditions []string
		for _, name := range names {
			conditions = append(conditions, conditionText(name, "False"))
		}
		_, err := world.objects.Resource(resourceOf("services")).Namespace(workspace).Patch(t.Context(), "x", types.MergePatchType,
			[]byte(`{"status":{"conditions":[`+strings.Join(conditions, ",")+`]}}`), metav1.PatchOptions{FieldManager: "somebody"}, "status")
		check(t, err)
	}
	somebody("Programmed")
	if got := ownedBy(t, "somebody", workspace, "x"); !contains(got, "Programmed") {
		t.Fatalf("somebody owns %q", got)
	}
	check(t, world.PatchStatus(t.Context(), "Service", workspace, "x", "", programmed("True", "Accepted", "Programmed")))
	if got := ownedBy(t, "somebody", workspace, "x"); got != "" {
		t.Errorf("somebody still owns %s", got)
	}
	somebody("Accepted") // the API server reads what we noted
	if got := ownedBy(t, "somebody", workspace, "x"); !contains(got, "f:reason") {
		t.Errorf("somebody owns %q", got)
	}
	if got := ownedBy(t, fieldManager, workspace, "x"); contains(got, "Programmed") || contains(got, "f:reason") {
		t.Errorf("the hub still owns %s", got)
	}
}

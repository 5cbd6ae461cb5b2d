package apiserver

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/yaml"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// resourceOf finds a kind of the stream by its plural.
func resourceOf(plural string) schema.GroupVersionResource {
	for _, k := range kinds {
		if k.resource.Resource == plural {
			return k.resource
		}
	}
	panic("no kind " + plural)
}

func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	check(t, yaml.Unmarshal([]byte(text), &o.Object))
	return o
}

// create creates an object the way kubectl does, with strict checking of fields.
func create(t *testing.T, plural, namespace, text string) (*unstructured.Unstructured, error) {
	t.Helper()
	return world.objects.Resource(resourceOf(plural)).Namespace(namespace).Create(t.Context(), parse(t, text), metav1.CreateOptions{FieldValidation: "Strict"})
}

// apply applies an object server-side and fails the test if it is refused.
func apply(t *testing.T, plural, namespace, text string) *unstructured.Unstructured {
	t.Helper()
	o := parse(t, text)
	got, err := world.objects.Resource(resourceOf(plural)).Namespace(namespace).Apply(t.Context(), o.GetName(), o, metav1.ApplyOptions{FieldManager: "test"})
	check(t, err)
	return got
}

var workspaceCount atomic.Int32

// newWorkspace makes a workspace of its own for a test.
func newWorkspace(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("w%d", workspaceCount.Add(1))
	apply(t, "workspaces", "", fmt.Sprintf(`{apiVersion: isthmus.dev/v1alpha1, kind: Workspace, metadata: {name: %s}}`, name))
	return name
}

// eventually waits for a condition; what says what it is about.
func eventually(t *testing.T, what string, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: still %v", what, err)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
}

// Every refusal says what is wrong and where.
func TestRefusals(t *testing.T) {
	workspace := newWorkspace(t)
	for name, c := range map[string]struct{ plural, namespace, object, want string }{
		"unknown field": {"workspaces", "", `{apiVersion: isthmus.dev/v1alpha1, kind: Workspace, metadata: {name: u}, spec: {tenent: x}}`,
			`unknown field "spec.tenent"`},
		"unknown field of a Gateway API kind": {"httproutes", workspace, `{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: u}, spec: {rules: [{backends: []}]}}`,
			`unknown field "spec.rules[0].backends"`},
		"unknown field of a core kind": {"configmaps", workspace, `{apiVersion: v1, kind: ConfigMap, metadata: {name: u}, dta: {}}`,
			`unknown field "dta"`},
		"a rule in CEL": {"jointokens", "", `{apiVersion: isthmus.dev/v1alpha1, kind: JoinToken, metadata: {name: u}, spec: {role: workload, zone: dc1, secretSHA256: "` + strings.Repeat("a", 64) + `", expires: "2030-01-01T00:00:00Z"}}`,
			"a workload or gateway token names workspace and service"},
		"wrong type": {"services", workspace, `{apiVersion: isthmus.dev/v1alpha1, kind: Service, metadata: {name: u}, spec: {ports: {}}}`,
			"spec.ports"},
		"an owner": {"configmaps", workspace, `{apiVersion: v1, kind: ConfigMap, metadata: {name: u, ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: o, uid: u}]}}`,
			"metadata.ownerReferences is not supported"},
		"an owner of a custom resource": {"services", workspace, `{apiVersion: isthmus.dev/v1alpha1, kind: Service, metadata: {name: u, ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: o, uid: u}]}}`,
			"metadata.ownerReferences is not supported"},
		"no such workspace": {"services", "nowhere", `{apiVersion: isthmus.dev/v1alpha1, kind: Service, metadata: {name: u}}`,
			`create the Workspace "nowhere" first`},
		"a workspace that can have no namespace": {"workspaces", "", `{apiVersion: isthmus.dev/v1alpha1, kind: Workspace, metadata: {name: a.b}}`,
			"the name of a Workspace is also that of its namespace"},
		"a workspace of the hub's name": {"workspaces", "", `{apiVersion: isthmus.dev/v1alpha1, kind: Workspace, metadata: {name: isthmus-system}}`,
			"the hub's own"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := create(t, c.plural, c.namespace, c.object); err == nil || !contains(err.Error(), c.want) {
				t.Errorf("got %v\nwant %q", err, c.want)
			}
		})
	}
}

// A definition of the hub's kinds cannot be deleted, alone or with all others; anybody else's can.
func TestDefinitionsStay(t *testing.T) {
	definitions := world.objects.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	if err := definitions.Delete(t.Context(), "zones.isthmus.dev", metav1.DeleteOptions{}); err == nil || !contains(err.Error(), "belongs to the hub") {
		t.Errorf("one: %v", err)
	}
	if err := definitions.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err == nil || !contains(err.Error(), "belongs to the hub") {
		t.Errorf("all: %v", err)
	}
	_, err := definitions.Create(t.Context(), parse(t, `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: things.example.com},
		spec: {group: example.com, scope: Cluster, names: {kind: Thing, plural: things}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]}}`), metav1.CreateOptions{})
	check(t, err)
	check(t, definitions.Delete(t.Context(), "things.example.com", metav1.DeleteOptions{}))
}

func TestDefaultsAreFilledIn(t *testing.T) {
	zone, err := create(t, "zones", "", `{apiVersion: isthmus.dev/v1alpha1, kind: Zone, metadata: {name: defaulted}, spec: {}}`)
	check(t, err)
	if got, _, _ := unstructured.NestedString(zone.Object, "spec", "type"); got != "machines" {
		t.Errorf("spec.type is %q", got)
	}
	secret, err := create(t, "secrets", newWorkspace(t), `{apiVersion: v1, kind: Secret, metadata: {name: s}}`)
	check(t, err)
	if secret.Object["type"] != "Opaque" {
		t.Errorf("a Secret's type is %v", secret.Object["type"])
	}
}

func TestDryRunStoresNothing(t *testing.T) {
	workspace := newWorkspace(t)
	services := world.objects.Resource(resourceOf("services")).Namespace(workspace)
	_, err := services.Create(t.Context(), parse(t, `{apiVersion: isthmus.dev/v1alpha1, kind: Service, metadata: {name: x}}`), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	check(t, err)
	if _, err := services.Get(t.Context(), "x", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("got %v, want not found", err)
	}
}

func TestApplyMergesFieldsOfTwoManagers(t *testing.T) {
	workspace := newWorkspace(t)
	apply(t, "services", workspace, `{apiVersion: isthmus.dev/v1alpha1, kind: Service, metadata: {name: x, labels: {a: "1"}}}`)
	o := parse(t, `{apiVersion: isthmus.dev/v1alpha1, kind: Service, metadata: {name: x, labels: {b: "2"}}}`)
	services := world.objects.Resource(resourceOf("services")).Namespace(workspace)
	got, err := services.Apply(t.Context(), "x", o, metav1.ApplyOptions{FieldManager: "other"})
	check(t, err)
	if l := got.GetLabels(); l["a"] != "1" || l["b"] != "2" {
		t.Errorf("labels are %v", l)
	}
	o.SetLabels(map[string]string{"a": "3"})
	if _, err := services.Apply(t.Context(), "x", o, metav1.ApplyOptions{FieldManager: "other"}); !apierrors.IsConflict(err) {
		t.Errorf("taking another's field: got %v, want a conflict", err)
	}
}

func TestWatchSeesWhatIsWritten(t *testing.T) {
	workspace := newWorkspace(t)
	services := world.objects.Resource(resourceOf("services")).Namespace(workspace)
	w, err := services.Watch(t.Context(), metav1.ListOptions{})
	check(t, err)
	defer w.Stop()
	apply(t, "services", workspace, `{apiVersion: isthmus.dev/v1alpha1, kind: Service, metadata: {name: x}}`)
	check(t, services.Delete(t.Context(), "x", metav1.DeleteOptions{}))
	for _, want := range []watch.EventType{watch.Added, watch.Deleted} {
		if e := <-w.ResultChan(); e.Type != want {
			t.Errorf("got %s, want %s", e.Type, want)
		}
	}
}

// Objects that are too big or that explode are refused, and the next request is served.
func TestBigRequests(t *testing.T) {
	workspace := newWorkspace(t)
	path := "/api/v1/namespaces/" + workspace + "/configmaps"
	post := func(kind, body string) (int, string) {
		var code int
		answer, _ := world.core.CoreV1().RESTClient().Post().AbsPath(path).SetHeader("Content-Type", kind).Body([]byte(body)).Do(t.Context()).StatusCode(&code).Raw()
		return code, string(answer)
	}
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for i, last := 0, "a"; i < 9; i++ {
		name := string(rune('b' + i))
		bomb += name + ": &" + name + " [" + strings.TrimSuffix(strings.Repeat("*"+last+",", 9), ",") + "]\n"
		last = name
	}
	configMap := func(size int) string {
		return `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"big"},"data":{"x":"` + strings.Repeat("x", size) + `"}}`
	}
	route := `{"apiVersion":"isthmus.dev/v1alpha1","kind":"Workspace","metadata":{"name":"deep"},"spec":` + strings.Repeat(`{"a":`, 20000) + `1` + strings.Repeat(`}`, 20000) + `}`
	for name, c := range map[string]struct {
		kind, body string
		code       int
		want       string
	}{
		"above the limit":     {"application/json", configMap(2 << 20), http.StatusRequestEntityTooLarge, "limit is 1572864"},
		"above the kind's":    {"application/json", configMap(1<<20 + 1), http.StatusUnprocessableEntity, "may not be more than 1048576 bytes"},
		"a YAML bomb":         {"application/yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\n" + bomb, http.StatusBadRequest, "excessive aliasing"},
		"20,000 levels":       {"application/json", route, http.StatusBadRequest, "exceeded max depth"},
		"not JSON":            {"application/json", "{", http.StatusBadRequest, "unexpected end of JSON input"},
		"1 MiB less overhead": {"application/json", configMap(1<<20 - 100), http.StatusCreated, ""},
	} {
		code, answer := post(c.kind, c.body)
		if code != c.code || !contains(answer, c.want) {
			t.Errorf("%s: got %d %.300s\nwant %d %q", name, code, answer, c.code, c.want)
		}
	}
	apply(t, "configmaps", workspace, `{apiVersion: v1, kind: ConfigMap, metadata: {name: after}}`)
}

func TestGatewayClassIsThere(t *testing.T) {
	class, err := world.objects.Resource(resourceOf("gatewayclasses")).Get(t.Context(), GatewayClassName, metav1.GetOptions{})
	check(t, err)
	if got, _, _ := unstructured.NestedString(class.Object, "spec", "controllerName"); got != ControllerName {
		t.Errorf("controllerName is %q", got)
	}
}

// Secrets are not readable in what lies on the disk; the rest is.
func TestSecretsAreEncryptedAtRest(t *testing.T) {
	workspace := newWorkspace(t)
	apply(t, "secrets", workspace, `{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {password: hunter2}}`)
	raw, err := world.etcd.client.Get(t.Context(), Prefix+"/core/secrets/"+workspace+"/s")
	check(t, err)
	if stored := string(raw.Kvs[0].Value); contains(stored, "hunter2") || contains(stored, "password") || !strings.HasPrefix(stored, "k8s:enc:secretbox:v1:key1:") {
		t.Errorf("stored: %.60q", stored)
	}
	back, err := world.core.CoreV1().Secrets(workspace).Get(t.Context(), "s", metav1.GetOptions{})
	check(t, err)
	if string(back.Data["password"]) != "hunter2" {
		t.Errorf("read back %q", back.Data)
	}
}

func TestMetrics(t *testing.T) {
	text, err := world.core.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	check(t, err)
	for _, family := range []string{"apiserver_request_total", "etcd_disk_wal_fsync_duration_seconds_bucket", "go_goroutines"} {
		if !contains(string(text), family) {
			t.Errorf("/metrics lacks %s", family)
		}
	}
}

func TestVersionIsOneThatKubectlKnows(t *testing.T) {
	v, err := world.core.Discovery().ServerVersion()
	check(t, err)
	if v.Major != "1" || v.Minor != "36" || !strings.HasPrefix(v.GitVersion, "v1.36.") {
		t.Errorf("got %+v", v)
	}
}

func TestRequestsAreRefusedAtOnceWithoutQuorum(t *testing.T) {
	quorum := false
	h := requireQuorum(func() bool { return quorum }, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	ask := func(path string) *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
		return answer
	}
	if a := ask("/apis/isthmus.dev/v1alpha1/zones"); a.Code != 503 || a.Header().Get("Retry-After") != "1" || !contains(a.Body.String(), "no quorum") {
		t.Errorf("without quorum: %d %s", a.Code, a.Body)
	}
	if a := ask("/livez"); a.Code != http.StatusTeapot {
		t.Errorf("/livez without quorum: %d", a.Code)
	}
	quorum = true
	if a := ask("/apis/isthmus.dev/v1alpha1/zones"); a.Code != http.StatusTeapot {
		t.Errorf("with quorum: %d", a.Code)
	}
}

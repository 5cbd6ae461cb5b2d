package deploy

import (
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/isthmus-mesh/isthmus/edge/kube"
)

var update = flag.Bool("update", false, "rewrite expected output in testdata")

const (
	first  = "isthmus1.Zmlyc3Q"
	second = "isthmus1.c2Vjb25k"
)

// golden compares text with a file of testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		check(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	check(t, err)
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s; -update rewrites it (-want +got):\n%s", path, d)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func manifest(t *testing.T, values Values) []byte {
	t.Helper()
	text, err := Manifest("v0.2.0", values)
	check(t, err)
	return text
}

func TestManifest(t *testing.T) {
	golden(t, "one.yaml", manifest(t, Values{JoinTokens: []string{first}}))
}

// decode reads objects as an API server with strict field validation would.
func decode(t *testing.T, text string) (objects []runtime.Object) {
	t.Helper()
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	for _, document := range strings.Split(text, "\n---\n") {
		object, _, err := strict.Decode([]byte(document), nil, nil)
		if err != nil {
			t.Errorf("%v in\n%s", err, document)
			continue
		}
		objects = append(objects, object)
	}
	return objects
}

// of returns the objects of one type.
func of[T runtime.Object](objects []runtime.Object) (some []T) {
	for _, object := range objects {
		if o, ok := object.(T); ok {
			some = append(some, o)
		}
	}
	return some
}

// every value of the chart that changes what is rendered.
var everything = map[string]any{
	"image":    map[string]any{"repository": "registry.example.com/isthmus", "tag": "x", "pullSecrets": []any{"pull"}},
	"replicas": 2, "joinTokens": []any{first, second}, "hub": []any{"hub.example.com:7444"},
	"data":          map[string]any{"storageClass": "fast"},
	"networkPolicy": map[string]any{"metricsFrom": []any{map[string]any{"podSelector": map[string]any{}}}},
	"nodeSelector":  map[string]any{"a": "b"}, "tolerations": []any{map[string]any{"operator": "Exists"}},
	"priorityClassName": "high", "podLabels": map[string]any{"team": "mesh"}, "podAnnotations": map[string]any{"c": "d"},
	"receipts": map[string]any{"istioNamespace": "mesh"},
	"logLevel": "debug", "resources": map[string]any{"limits": map[string]any{"cpu": "1"}},
}

func TestEveryTemplateIsValid(t *testing.T) {
	for name, values := range map[string]map[string]any{
		"Defaults": nil, "Everything": everything,
		"Least": {"joinSecret": "mine", "data": map[string]any{"persistent": false}, "networkPolicy": map[string]any{"enabled": false},
			"receipts": map[string]any{"enabled": false}},
	} {
		t.Run(name, func(t *testing.T) {
			rendered, err := render("", values)
			check(t, err)
			for _, template := range inOrder(rendered) {
				if objects := decode(t, rendered[template]); len(objects) == 0 {
					t.Errorf("%s holds no object", template)
				}
			}
		})
	}
}

func TestRefusesValues(t *testing.T) {
	for name, c := range map[string]struct {
		values map[string]any
		want   string
	}{
		"Unknown":       {map[string]any{"replica": 2}, "additional properties 'replica' not allowed"},
		"UnknownInside": {map[string]any{"data": map[string]any{"sise": "1Gi"}}, "additional properties 'sise' not allowed"},
		"Three":         {map[string]any{"replicas": 3}, "/replicas"},
		"NoToken":       {map[string]any{"joinTokens": []any{"secret"}}, "/joinTokens/0"},
		"HubNoPort":     {map[string]any{"hub": []any{"hub.example.com"}}, "/hub/0"},
		"Level":         {map[string]any{"logLevel": "loud"}, "/logLevel"},
		"Namespace":     {map[string]any{"receipts": map[string]any{"istioNamespace": "a b"}}, "/receipts/istioNamespace"},
		"Tag":           {map[string]any{"image": map[string]any{"tag": "a b"}}, "/image/tag"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := render("", c.values); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// What stands in arguments or the environment is seen by everybody who may look at pods.
func TestSecretsAreInSecretsOnly(t *testing.T) {
	rendered, err := render("", everything)
	check(t, err)
	for template, text := range rendered {
		if held := holds(text, first) || holds(text, second); held != strings.HasSuffix(template, "/joinsecret.yaml") {
			t.Errorf("%s: holds a token: %v", template, held)
		}
	}
	secrets := of[*corev1.Secret](decode(t, rendered["isthmus-edge/templates/joinsecret.yaml"]))
	want := map[string][]byte{"isthmus-edge-0": []byte(first), "isthmus-edge-1": []byte(second)}
	if d := cmp.Diff(want, secrets[0].Data); d != "" {
		t.Errorf("the tokens by pod (-want +got):\n%s", d)
	}
}

func holds(text, token string) bool {
	return strings.Contains(text, token) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(token)))
}

// A token given once is enough: an upgrade without it still starts.
func TestTokensMayBeMissing(t *testing.T) {
	edge := edgeOf(t, nil)
	for _, volume := range edge.Spec.Template.Spec.Volumes {
		if volume.Name == "join" && (volume.Secret.Optional == nil || !*volume.Secret.Optional) {
			t.Error("the edge does not start without the Secret")
		}
	}
}

func edgeOf(t *testing.T, values map[string]any) *appsv1.StatefulSet {
	t.Helper()
	rendered, err := render("v0.2.0", values)
	check(t, err)
	return of[*appsv1.StatefulSet](decode(t, rendered["isthmus-edge/templates/edge.yaml"]))[0]
}

func TestImage(t *testing.T) {
	digest := "sha256:" + strings.Repeat("ab", 32)
	for reference, want := range map[string]string{
		"":                                    "ghcr.io/isthmus-mesh/isthmus:v0.2.0",
		"registry.example.com:5000/isthmus":   "registry.example.com:5000/isthmus:v0.2.0",
		"registry.example.com:5000/i:v9":      "registry.example.com:5000/i:v9",
		"registry.example.com/i@" + digest:    "registry.example.com/i@" + digest,
		"isthmus:v1":                          "isthmus:v1",
		"registry.example.com/i:v1@" + digest: "registry.example.com/i:v1@" + digest,
	} {
		edge := edgeOf(t, Values{Image: reference}.forChart())
		if got := edge.Spec.Template.Spec.Containers[0].Image; got != want {
			t.Errorf("image %q: got %s, want %s", reference, got, want)
		}
	}
	if _, err := Manifest("", Values{Image: "i:not a tag"}); err == nil {
		t.Error("an image that is none is accepted")
	}
}

// The pod keeps to the restricted level of Kubernetes' pod security standards.
func TestPodIsRestricted(t *testing.T) {
	pod := edgeOf(t, nil).Spec.Template.Spec
	security := pod.Containers[0].SecurityContext
	if !*pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault ||
		*security.AllowPrivilegeEscalation || !*security.ReadOnlyRootFilesystem ||
		fmt.Sprint(security.Capabilities) != "&Capabilities{Add:[],Drop:[ALL],}" {
		t.Errorf("pod %v, container %v", pod.SecurityContext, security)
	}
}

// TestPrivileges keeps a list of all that the edge may do, so that a new right is seen in review.
func TestPrivileges(t *testing.T) {
	objects := decode(t, string(manifest(t, Values{JoinTokens: []string{first}})))
	var text strings.Builder
	for _, role := range of[*rbacv1.ClusterRole](objects) {
		fmt.Fprintf(&text, "everywhere\n%s", rules(role.Rules))
	}
	everywhere := text.String()
	inNamespace := map[string]string{}
	for _, role := range of[*rbacv1.Role](objects) {
		inNamespace[role.Namespace] = rules(role.Rules)
		fmt.Fprintf(&text, "in %s\n%s", role.Namespace, rules(role.Rules))
	}
	golden(t, "privileges", []byte(text.String()))
	if got, want := everywhere, "everywhere\n"+rules(kube.Rules()); got != want {
		t.Errorf("the chart grants\n%s\nthe edge needs\n%s", got, want)
	}
	want := map[string]string{Namespace: rules(kube.LeaseRules()), "istio-system": rules(kube.ReceiptsRules(Release + "-receipts"))}
	if d := cmp.Diff(want, inNamespace); d != "" {
		t.Errorf("by namespace the chart grants not what the edge needs (-need +grant):\n%s", d)
	}
}

func rules(all []rbacv1.PolicyRule) string {
	var text strings.Builder
	for _, rule := range all {
		for _, resource := range rule.Resources {
			name := strings.Join(append([]string{resource}, rule.ResourceNames...), " ")
			fmt.Fprintf(&text, "  %-45s %s\n", strings.TrimPrefix(rule.APIGroups[0]+"/"+name, "/"), strings.Join(rule.Verbs, " "))
		}
	}
	return text.String()
}

// Bindings lead to roles that exist, and to the edge's own account and no other.
func TestRolesAreBoundToTheEdge(t *testing.T) {
	objects := decode(t, string(manifest(t, Values{JoinTokens: []string{first}})))
	subjects, roles := 0, len(of[*rbacv1.Role](objects))+len(of[*rbacv1.ClusterRole](objects))
	want := rbacv1.Subject{Kind: "ServiceAccount", Name: Release, Namespace: Namespace}
	count := func(all []rbacv1.Subject) {
		for _, subject := range all {
			subjects++
			if subject != want {
				t.Errorf("bound to %v", subject)
			}
		}
	}
	for _, binding := range of[*rbacv1.RoleBinding](objects) {
		count(binding.Subjects)
	}
	for _, binding := range of[*rbacv1.ClusterRoleBinding](objects) {
		count(binding.Subjects)
	}
	if subjects != roles || roles != 3 {
		t.Errorf("%d subjects for %d roles", subjects, roles)
	}
}

var topLevel = regexp.MustCompile(`(?m)^([a-zA-Z]+):`)

// Every value that exists is in values.yaml, where people look for it.
func TestValuesAndSchemaAgree(t *testing.T) {
	c, err := load("")
	check(t, err)
	for name := range c.Values {
		if !strings.Contains(string(c.Schema), fmt.Sprintf("%q: {", name)) {
			t.Errorf("values.schema.json does not know %s", name)
		}
	}
	text, err := files.ReadFile("edge/values.yaml")
	check(t, err)
	if found := topLevel.FindAllString(string(text), -1); len(found) != len(c.Values) {
		t.Errorf("values.yaml has %d values, of which %d are set", len(found), len(c.Values))
	}
}

package deploy

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/kube"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"

	"github.com/isthmus-mesh/isthmus/meshtest"
	upstream "github.com/isthmus-mesh/isthmus/meshtest/kube"
)

// TestInCluster puts the edge into a real API server, in both of the ways there are, and out again.
func TestInCluster(t *testing.T) {
	w := newWorld(t)
	t.Run("Helm", func(t *testing.T) { helmInstalls(t, w) })
	t.Run("Apply", func(t *testing.T) { manifestApplies(t, w) })
}

// world is a cluster with the namespace of an istiod, and what its API server said beside its answers.
type world struct {
	kubeconfig string
	core       kubernetes.Interface
	dynamic    dynamic.Interface
	warnings   []string
}

func newWorld(t *testing.T) *world {
	cluster := upstream.Start(t)
	w := &world{kubeconfig: cluster.Kubeconfig}
	config := rest.CopyConfig(cluster.REST)
	config.WarningHandlerWithContext = w
	var err error
	w.core, err = kubernetes.NewForConfig(config)
	check(t, err)
	w.dynamic, err = dynamic.NewForConfig(config)
	check(t, err)
	istio := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "istio-system"}}
	_, err = w.core.CoreV1().Namespaces().Create(t.Context(), istio, metav1.CreateOptions{})
	check(t, err)
	return w
}

// HandleWarningHeaderWithContext implements [rest.WarningHandlerWithContext].
func (w *world) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	w.warnings = append(w.warnings, text)
}

// ours lists what carries our name, of all kinds there are, but the namespace, which outlives a release, and
// events, which pass.
func (w *world) ours(t *testing.T) []unstructured.Unstructured {
	t.Helper()
	lists, err := w.core.Discovery().ServerPreferredResources()
	check(t, err)
	var found []unstructured.Unstructured
	for _, list := range discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list", "delete"}}, lists) {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		check(t, err)
		for _, resource := range list.APIResources {
			objects, err := w.dynamic.Resource(version.WithResource(resource.Name)).List(t.Context(), metav1.ListOptions{})
			check(t, err)
			found = append(found, slices.DeleteFunc(objects.Items, foreign)...)
		}
	}
	return found
}

func foreign(o unstructured.Unstructured) bool {
	words := append(slices.Collect(maps.Values(o.GetLabels())), o.GetName())
	return o.GetKind() == "Namespace" || o.GetKind() == "Event" || !strings.Contains(strings.Join(words, " "), "isthmus")
}

// names are those of objects, sorted, a line each; what a controller made of another object is not among them, nor
// claims, which get their owner a moment later.
func names(objects []unstructured.Unstructured) []byte {
	var lines []string
	for _, o := range objects {
		if len(o.GetOwnerReferences()) == 0 && o.GetKind() != "PersistentVolumeClaim" {
			lines = append(lines, fmt.Sprintln(strings.TrimSpace(o.GetNamespace()+" "+o.GetKind()), o.GetName()))
		}
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, ""))
}

func helmInstalls(t *testing.T, w *world) {
	namespace := Namespace
	flags := genericclioptions.NewConfigFlags(true)
	flags.KubeConfig, flags.Namespace = &w.kubeconfig, &namespace
	helm := action.NewConfiguration(action.ConfigurationSetLogger(slog.DiscardHandler))
	check(t, helm.Init(flags, Namespace, "secret"))
	c, err := load("v0.1.0")
	check(t, err)

	// Nothing runs pods here, so nothing is waited for.
	install := action.NewInstall(helm)
	install.ReleaseName, install.Namespace, install.CreateNamespace, install.WaitStrategy = Release, Namespace, true, kube.HookOnlyStrategy
	_, err = install.RunWithContext(t.Context(), c, map[string]any{"joinTokens": []any{first}})
	check(t, err)
	golden(t, "installed", names(w.ours(t)))
	w.mayDo(t)

	c, err = load("v0.2.0")
	check(t, err)
	upgrade := action.NewUpgrade(helm)
	upgrade.Namespace, upgrade.WaitStrategy = Namespace, kube.HookOnlyStrategy
	for _, tokens := range [][]any{{first, second}, {second}} {
		_, err = upgrade.RunWithContext(t.Context(), Release, c, map[string]any{"joinTokens": tokens, "replicas": len(tokens)})
		check(t, err)
		w.runs(t, int32(len(tokens)), "ghcr.io/isthmus-mesh/isthmus:v0.2.0")
	}

	uninstall := action.NewUninstall(helm)
	uninstall.WaitStrategy = kube.HookOnlyStrategy
	_, err = uninstall.Run(Release)
	check(t, err)
	meshtest.Eventually(t, "nothing of ours is left", func() error {
		if left := w.ours(t); len(left) > 0 {
			return fmt.Errorf("there are %v", left)
		}
		return nil
	})
}

// runs compares the StatefulSet, and the tokens of its edges.
func (w *world) runs(t *testing.T, edges int32, image string) {
	t.Helper()
	edge, err := w.core.AppsV1().StatefulSets(Namespace).Get(t.Context(), Release, metav1.GetOptions{})
	check(t, err)
	if got := edge.Spec.Template.Spec.Containers[0].Image; *edge.Spec.Replicas != edges || got != image {
		t.Errorf("%d edges of %s, want %d of %s", *edge.Spec.Replicas, got, edges, image)
	}
	tokens, err := w.core.CoreV1().Secrets(Namespace).Get(t.Context(), Release+"-join", metav1.GetOptions{})
	check(t, err)
	if len(tokens.Data) != int(edges) {
		t.Errorf("%d tokens for %d edges", len(tokens.Data), edges)
	}
}

// mayDo asks the API server what the edge may do; the rest of the rights is in testdata/privileges.
func (w *world) mayDo(t *testing.T) {
	t.Helper()
	for question, want := range map[authorizationv1.ResourceAttributes]bool{
		{Verb: "watch", Resource: "services"}: true,
		{Verb: "patch", Group: "networking.istio.io", Resource: "virtualservices", Namespace: "shop"}:                               true,
		{Verb: "delete", Group: "security.istio.io", Resource: "peerauthentications", Namespace: "shop"}:                            true,
		{Verb: "update", Group: "coordination.k8s.io", Resource: "leases", Namespace: Namespace}:                                    true,
		{Verb: "update", Group: "coordination.k8s.io", Resource: "leases", Namespace: "istio-system"}:                               false,
		{Verb: "create", Resource: "serviceaccounts", Subresource: "token", Name: Release + "-receipts", Namespace: "istio-system"}: true,
		{Verb: "create", Resource: "serviceaccounts", Subresource: "token", Name: "default", Namespace: "istio-system"}:             false,
		{Verb: "get", Resource: "secrets", Namespace: Namespace}:                                                                    false,
		{Verb: "create", Resource: "pods", Namespace: Namespace}:                                                                    false,
		{Verb: "patch", Group: "networking.istio.io", Resource: "envoyfilters", Namespace: "shop"}:                                  false,
		{Verb: "bind", Group: "rbac.authorization.k8s.io", Resource: "clusterroles"}:                                                false,
	} {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "system:serviceaccount:" + Namespace + ":" + Release, ResourceAttributes: &question}}
		answer, err := w.core.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
		check(t, err)
		if answer.Status.Allowed != want {
			t.Errorf("may the edge %s %s of %q in %q: %v, want %v", question.Verb, question.Resource, question.Group, question.Namespace, !want, want)
		}
	}
}

// manifestApplies does what kubectl apply and delete do. The API server says when a pod is not restricted.
func manifestApplies(t *testing.T, w *world) {
	groups, err := restmapper.GetAPIGroupResources(w.core.Discovery())
	check(t, err)
	mapper := restmapper.NewDiscoveryRESTMapper(groups)
	each := func(do func(dynamic.ResourceInterface, *unstructured.Unstructured) error) {
		for _, document := range strings.Split(string(manifest(t, Values{JoinTokens: []string{first}})), "\n---\n") {
			o := &unstructured.Unstructured{}
			check(t, yaml.Unmarshal([]byte(document), &o.Object))
			kind := o.GroupVersionKind()
			mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
			check(t, err)
			if err := do(w.dynamic.Resource(mapping.Resource).Namespace(o.GetNamespace()), o); err != nil {
				t.Errorf("%s %s: %v", kind.Kind, o.GetName(), err)
			}
		}
	}
	w.warnings = nil
	apply := metav1.PatchOptions{FieldManager: "kubectl", FieldValidation: metav1.FieldValidationStrict, Force: new(true)}
	each(func(in dynamic.ResourceInterface, o *unstructured.Unstructured) error {
		data, err := o.MarshalJSON()
		check(t, err)
		_, err = in.Patch(t.Context(), o.GetName(), "application/apply-patch+yaml", data, apply)
		return err
	})
	w.runs(t, 1, "ghcr.io/isthmus-mesh/isthmus:v0.2.0")
	if len(w.warnings) > 0 {
		t.Errorf("the API server warns: %s", fmt.Sprint(w.warnings))
	}
	each(func(in dynamic.ResourceInterface, o *unstructured.Unstructured) error {
		return in.Delete(t.Context(), o.GetName(), metav1.DeleteOptions{})
	})
}

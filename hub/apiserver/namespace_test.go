package apiserver

import (
	"errors"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// gone is a condition: the object does not exist any more.
func gone(t *testing.T, plural, namespace, name string) func() error {
	return func() error {
		_, err := world.objects.Resource(resourceOf(plural)).Namespace(namespace).Get(t.Context(), name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(err, fmt.Errorf("%s %s is there", plural, name))
	}
}

func deleteObject(t *testing.T, plural, namespace, name string) {
	t.Helper()
	check(t, world.objects.Resource(resourceOf(plural)).Namespace(namespace).Delete(t.Context(), name, metav1.DeleteOptions{}))
}

func TestWorkspaceHasItsNamespace(t *testing.T) {
	name := newWorkspace(t)
	eventually(t, "namespace of "+name, func() error {
		_, err := world.core.CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{})
		return err
	})
	apply(t, "configmaps", name, `{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}`)
	deleteObject(t, "workspaces", "", name)
	eventually(t, "after the workspace", gone(t, "namespaces", "", name))
}

// Deleting a namespace deletes what is in it; the workspace, still there, gets a new one.
func TestNamespaceDeletionEmpties(t *testing.T) {
	name := newWorkspace(t)
	apply(t, "configmaps", name, `{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}`)
	apply(t, "secrets", name, `{apiVersion: v1, kind: Secret, metadata: {name: s}}`)
	apply(t, "services", name, `{apiVersion: isthmus.dev/v1alpha1, kind: Service, metadata: {name: x}}`)
	apply(t, "httproutes", name, `{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r}, spec: {}}`)
	old, err := world.core.CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{})
	check(t, err)
	deleteObject(t, "namespaces", "", name)
	eventually(t, "a new namespace", func() error {
		now, err := world.core.CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{})
		if err == nil && now.UID == old.UID {
			err = errors.New("still the old one")
		}
		return err
	})
	for plural, object := range map[string]string{"configmaps": "c", "secrets": "s", "services": "x", "httproutes": "r"} {
		if err := gone(t, plural, name, object)(); err != nil {
			t.Error(err)
		}
	}
}

// A namespace waits for the finalizers of what is in it.
func TestNamespaceWaitsForFinalizers(t *testing.T) {
	const name = "waiting"
	apply(t, "namespaces", "", `{apiVersion: v1, kind: Namespace, metadata: {name: waiting}}`)
	apply(t, "services", name, `{apiVersion: isthmus.dev/v1alpha1, kind: Service, metadata: {name: held, finalizers: [example.com/hold]}}`)
	apply(t, "services", name, `{apiVersion: isthmus.dev/v1alpha1, kind: Service, metadata: {name: free}}`)
	deleteObject(t, "namespaces", "", name)
	eventually(t, "the object without finalizer", gone(t, "services", name, "free"))
	if _, err := world.core.CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{}); err != nil {
		t.Fatalf("the namespace did not wait: %v", err)
	}
	_, err := world.objects.Resource(resourceOf("services")).Namespace(name).Patch(t.Context(), "held", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	check(t, err)
	eventually(t, "after the finalizer", gone(t, "namespaces", "", name))
}

// A namespace that was there before the workspace becomes the workspace's.
func TestWorkspaceTakesOverItsNamespace(t *testing.T) {
	apply(t, "namespaces", "", `{apiVersion: v1, kind: Namespace, metadata: {name: before}}`)
	apply(t, "workspaces", "", `{apiVersion: isthmus.dev/v1alpha1, kind: Workspace, metadata: {name: before}}`)
	eventually(t, "its label", func() error {
		n, err := world.core.CoreV1().Namespaces().Get(t.Context(), "before", metav1.GetOptions{})
		if err == nil && n.Labels[ownedLabel] != "before" {
			err = fmt.Errorf("labels %v", n.Labels)
		}
		return err
	})
	deleteObject(t, "workspaces", "", "before")
	eventually(t, "after the workspace", gone(t, "namespaces", "", "before"))
}

// The namespace "default" cannot be deleted; a workspace of that name can.
func TestWorkspaceDefault(t *testing.T) {
	owner := func(want string) func() error {
		return func() error {
			n, err := world.core.CoreV1().Namespaces().Get(t.Context(), "default", metav1.GetOptions{})
			if err == nil && n.Labels[ownedLabel] != want {
				err = fmt.Errorf("owner %q, want %q", n.Labels[ownedLabel], want)
			}
			return err
		}
	}
	apply(t, "workspaces", "", `{apiVersion: isthmus.dev/v1alpha1, kind: Workspace, metadata: {name: default}}`)
	eventually(t, "with the workspace", owner("default"))
	deleteObject(t, "workspaces", "", "default")
	eventually(t, "without it", owner(""))
}

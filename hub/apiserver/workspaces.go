package apiserver

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
)

// ownedLabel marks a namespace that a Workspace owns; the value is the workspace's name.
const ownedLabel = "isthmus.dev/workspace"

var (
	workspaceResource = v1alpha1.GroupVersion.WithResource("workspaces")
	namespaceResource = corev1.SchemeGroupVersion.WithResource("namespaces")
)

// workspaces gives every Workspace the namespace of its name, and deletes the namespace with the
// Workspace. A namespace that was there before becomes the workspace's.
type workspaces struct {
	clients *clients
	log     *slog.Logger
}

// run works until ctx ends. Both kinds are watched, so that a namespace deleted under a living
// workspace comes back, and one whose workspace went away while the hub was down goes too.
func (w *workspaces) run(ctx context.Context) error {
	informers := metadatainformer.NewSharedInformerFactory(w.clients.metadata, 0)
	wanted := informers.ForResource(workspaceResource)
	there := informers.ForResource(namespaceResource)
	loop := newLoop("workspaces", w.log, func(ctx context.Context, name string) error {
		_, err := wanted.Lister().Get(name)
		if apierrors.IsNotFound(err) {
			return w.release(ctx, there.Lister(), name)
		}
		if err != nil {
			return err
		}
		return w.own(ctx, there.Lister(), name)
	})
	return loop.run(ctx, wanted.Informer(), there.Informer())
}

// own makes the namespace, or marks the one that is there.
func (w *workspaces) own(ctx context.Context, there cache.GenericLister, name string) error {
	object, err := there.Get(name)
	if apierrors.IsNotFound(err) {
		return w.makeNamespace(ctx, name)
	}
	if err != nil {
		return err
	}
	namespace := object.(*metav1.PartialObjectMetadata)
	if namespace.Labels[ownedLabel] == name || namespace.DeletionTimestamp != nil {
		return nil // when it is gone, the informer tells and it is made anew
	}
	return w.label(ctx, name, strconv.Quote(name))
}

// label sets the mark of a namespace to a JSON value; null takes it away.
func (w *workspaces) label(ctx context.Context, namespace, value string) error {
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%s}}}`, ownedLabel, value)
	_, err := w.clients.metadata.Resource(namespaceResource).Patch(ctx, namespace, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	return err
}

// release deletes the namespace of a workspace that is gone.
func (w *workspaces) release(ctx context.Context, there cache.GenericLister, name string) error {
	object, err := there.Get(name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	namespace := object.(*metav1.PartialObjectMetadata)
	if namespace.Labels[ownedLabel] != name || namespace.DeletionTimestamp != nil {
		return nil
	}
	// The cache may be behind: a workspace made anew keeps its namespace.
	if _, err := w.clients.metadata.Resource(workspaceResource).Get(ctx, name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return err
	}
	return w.deleteNamespace(ctx, namespace)
}

func (w *workspaces) deleteNamespace(ctx context.Context, namespace *metav1.PartialObjectMetadata) error {
	err := w.clients.typed.CoreV1().Namespaces().Delete(ctx, namespace.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &namespace.UID}})
	if apierrors.IsForbidden(err) { // "default" and the like cannot be deleted
		w.log.Warn("the namespace of a deleted workspace stays, and what is in it", "namespace", namespace.Name, "err", err)
		return w.label(ctx, namespace.Name, "null")
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// ensureNamespace makes the namespace of a workspace at once, for an object that is about to be
// created in it. For a name that is no workspace's it says what is missing.
func (w *workspaces) ensureNamespace(ctx context.Context, name string) error {
	_, err := w.clients.metadata.Resource(workspaceResource).Get(ctx, name, metav1.GetOptions{})
	switch {
	case err == nil:
		return w.makeNamespace(ctx, name)
	case apierrors.IsNotFound(err):
		return w.missing(ctx, name)
	}
	return err
}

func (w *workspaces) makeNamespace(ctx context.Context, name string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{ownedLabel: name}}}
	_, err := w.clients.typed.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{FieldManager: fieldManager})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// missing is the refusal for a namespace that does not exist; nil if it does after all.
func (w *workspaces) missing(ctx context.Context, name string) error {
	_, err := w.clients.typed.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	refusal := apierrors.NewNotFound(corev1.Resource("namespaces"), name)
	refusal.ErrStatus.Message += fmt.Sprintf(": create the Workspace %q first", name)
	return refusal
}

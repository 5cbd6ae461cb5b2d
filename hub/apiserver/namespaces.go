package apiserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/metadata"
)

// namespaces empties the ones that are being deleted and then lets them go. In a cluster the
// controller manager does this.
type namespaces struct {
	clients *clients
	log     *slog.Logger
}

func (n *namespaces) run(ctx context.Context) error {
	informer := informers.NewSharedInformerFactory(n.clients.typed, 0).Core().V1().Namespaces()
	loop := newLoop("namespaces", n.log, func(ctx context.Context, name string) error {
		namespace, err := informer.Lister().Get(name)
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil || namespace.DeletionTimestamp == nil {
			return err
		}
		return n.finish(ctx, namespace)
	})
	return loop.run(ctx, informer.Informer())
}

// finish deletes what is in the namespace and, when nothing is left, the namespace. Objects with
// finalizers stay until somebody removes those; the loop comes back.
func (n *namespaces) finish(ctx context.Context, namespace *corev1.Namespace) error {
	resources, err := n.resources()
	if err != nil {
		return err
	}
	left := 0
	for _, resource := range resources {
		count, err := n.empty(ctx, n.clients.metadata.Resource(resource).Namespace(namespace.Name))
		if err != nil {
			return fmt.Errorf("%s: %w", resource.Resource, err)
		}
		left += count
	}
	if left > 0 {
		return fmt.Errorf("%d objects with finalizers are left", left)
	}
	return n.finalize(ctx, namespace)
}

// empty deletes all objects of one kind and counts those that stay.
func (n *namespaces) empty(ctx context.Context, objects metadata.ResourceInterface) (left int, err error) {
	list, err := objects.List(ctx, metav1.ListOptions{})
	if err != nil || len(list.Items) == 0 {
		return 0, err
	}
	if err := objects.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		return 0, err
	}
	list, err = objects.List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, err
	}
	return len(list.Items), nil
}

// resources are the kinds that live in namespaces and can be deleted, each in one version.
func (n *namespaces) resources() ([]schema.GroupVersionResource, error) {
	lists, err := n.clients.typed.Discovery().ServerPreferredNamespacedResources()
	if err != nil {
		return nil, err
	}
	var found []schema.GroupVersionResource
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, r := range list.APIResources {
			if slices.Contains(r.Verbs, "list") && slices.Contains(r.Verbs, "deletecollection") {
				found = append(found, version.WithResource(r.Name))
			}
		}
	}
	return found, nil
}

func (n *namespaces) finalize(ctx context.Context, namespace *corev1.Namespace) error {
	if !slices.Contains(namespace.Spec.Finalizers, corev1.FinalizerKubernetes) {
		return nil
	}
	namespace = namespace.DeepCopy()
	namespace.Spec.Finalizers = slices.DeleteFunc(namespace.Spec.Finalizers, func(f corev1.FinalizerName) bool { return f == corev1.FinalizerKubernetes })
	_, err := n.clients.typed.CoreV1().Namespaces().Finalize(ctx, namespace, metav1.UpdateOptions{FieldManager: fieldManager})
	if apierrors.IsNotFound(err) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

package kube

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"

	"github.com/isthmus-mesh/isthmus/api/problem"
)

// watcher keeps what the cluster has of one kind.
type watcher struct {
	kind     kind
	client   dynamic.NamespaceableResourceInterface
	informer cache.SharedIndexInformer
}

func (c *Cluster) watch(k kind) (*watcher, error) {
	w := &watcher{kind: k, client: c.dynamic.Resource(k.resource)}
	w.informer = cache.NewSharedIndexInformer(c.listed(w), &unstructured.Unstructured{}, 0, cache.Indexers{})
	if err := w.informer.SetTransform(c.slim); err != nil {
		return nil, err
	}
	err := w.informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
		if ctx.Err() == nil {
			c.config.Events.Condition(w.place(), unwatched(k, err))
		}
	})
	if err != nil {
		return nil, err
	}
	seen := func(o any) { c.seen(k, o) }
	_, err = w.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: seen, UpdateFunc: func(_, o any) { seen(o) }, DeleteFunc: seen,
	})
	return w, err
}

// place is where trouble with watching is told.
func (w *watcher) place() string { return "Watch/" + w.kind.name }

// listed reads the kind in all namespaces; a watch that begins says that nothing is wrong any more.
func (c *Cluster) listed(w *watcher) cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return w.client.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			events, err := w.client.Watch(ctx, options)
			if err == nil {
				c.config.Events.Condition(w.place(), nil)
			}
			return events, err
		},
	}
}

// seen has a name looked at that changed in the cluster.
func (c *Cluster) seen(k kind, o any) {
	if gone, is := o.(cache.DeletedFinalStateUnknown); is {
		o = gone.Obj
	}
	if live, is := o.(*unstructured.Unstructured); is {
		c.queue.Add(k.name + "/" + live.GetNamespace() + "/" + live.GetName())
	}
}

// slim keeps of an object what is looked at: of foreign ones only that they exist and whose they are.
func (c *Cluster) slim(o any) (any, error) {
	live, is := o.(*unstructured.Unstructured)
	if !is {
		return o, nil
	}
	delete(live.Object, "status")
	var managers []metav1.ManagedFieldsEntry
	for _, m := range live.GetManagedFields() {
		managers = append(managers, metav1.ManagedFieldsEntry{Manager: m.Manager, Operation: m.Operation, Time: m.Time})
	}
	live.SetManagedFields(managers)
	if !c.ours(live) {
		delete(live.Object, "spec")
	}
	return live, nil
}

// unwatched says why a kind cannot be watched.
func unwatched(k kind, err error) *problem.Error {
	switch {
	case apierrors.IsNotFound(err):
		return problem.KindNotServed.Because("%s: %v", k.name, err)
	case apierrors.IsForbidden(err):
		return problem.ClusterForbids.Because("%s: %v", k.name, err)
	}
	return problem.ClusterAway.Because("%s: %v", k.name, err)
}

// get is an object as the cluster has it; nil if it has none.
func (w *watcher) get(namespace, name string) *unstructured.Unstructured {
	o, exists, err := w.informer.GetStore().GetByKey(namespace + "/" + name)
	if err != nil || !exists {
		return nil
	}
	return o.(*unstructured.Unstructured)
}

// existing are the names of our objects that the cluster has.
func (c *Cluster) existing() []string {
	var all []string
	for _, w := range c.watchers {
		for _, o := range w.informer.GetStore().List() {
			if live := o.(*unstructured.Unstructured); c.ours(live) {
				all = append(all, w.kind.name+"/"+live.GetNamespace()+"/"+live.GetName())
			}
		}
	}
	return all
}

// lastManager is who else than us changed an object last.
func lastManager(live *unstructured.Unstructured) string {
	manager, at := "", time.Time{}
	for _, m := range live.GetManagedFields() {
		if m.Manager != FieldManager && m.Time != nil && !m.Time.Time.Before(at) {
			manager, at = m.Manager, m.Time.Time
		}
	}
	return manager
}

package apiserver

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// selection is what a request wants of a view.
type selection struct {
	namespace string
	labels    labels.Selector
	fields    fields.Selector
}

func selectionOf(ctx context.Context, o *metainternal.ListOptions) selection {
	s := selection{request.NamespaceValue(ctx), labels.Everything(), fields.Everything()}
	if o != nil && o.LabelSelector != nil {
		s.labels = o.LabelSelector
	}
	if o != nil && o.FieldSelector != nil {
		s.fields = o.FieldSelector
	}
	return s
}

func (s selection) matches(o Viewable) bool {
	return o != nil && (s.namespace == "" || s.namespace == o.GetNamespace()) && s.labels.Matches(labels.Set(o.GetLabels())) &&
		s.fields.Matches(fields.Set{"metadata.name": o.GetName(), "metadata.namespace": o.GetNamespace()})
}

// viewWatch is one watcher of a view.
type viewWatch struct {
	selection selection
	events    chan watch.Event
	stopped   chan struct{}
	stop      sync.Once
}

// Stop ends the watch.
func (w *viewWatch) Stop() { w.stop.Do(func() { close(w.stopped) }) }

// ResultChan is where the events come.
func (w *viewWatch) ResultChan() <-chan watch.Event { return w.events }

// send passes an event on as the watcher sees it; an object that leaves the selection is deleted for
// him. It returns false if he is too far behind.
func (w *viewWatch) send(e viewEvent) bool {
	is, was := w.selection.matches(e.object) && e.kind != watch.Deleted, w.selection.matches(e.old)
	kind := watch.Modified
	switch {
	case !is && !was:
		return true
	case !is:
		kind = watch.Deleted
	case !was:
		kind = watch.Added
	}
	select {
	case w.events <- watch.Event{Type: kind, Object: e.object.DeepCopyObject()}:
		return true
	default:
		return false
	}
}

// watch begins a watch. As with stored kinds, resourceVersion "" and "0" and sendInitialEvents ask for
// what is there first; another revision asks for everything after it, if the view remembers.
func (v *View[T]) watch(ctx context.Context, o *metainternal.ListOptions) (*viewWatch, error) {
	if o == nil {
		o = &metainternal.ListOptions{}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	first, err := v.first(o)
	if err != nil {
		return nil, err
	}
	w := &viewWatch{selection: selectionOf(ctx, o), stopped: make(chan struct{}), events: make(chan watch.Event, len(first)+1+watchBuffer)}
	for _, e := range first {
		w.send(e)
	}
	if o.SendInitialEvents != nil && *o.SendInitialEvents && o.AllowWatchBookmarks {
		w.events <- watch.Event{Type: watch.Bookmark, Object: v.bookmark()}
	}
	v.watchers[w] = struct{}{}
	go v.untilStopped(ctx, w)
	return w, nil
}

// untilStopped ends with the request, or when the watcher was dropped for being slow: the API server
// stops a watch whose events ended.
func (v *View[T]) untilStopped(ctx context.Context, w *viewWatch) {
	select {
	case <-w.stopped:
	case <-ctx.Done():
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.drop(w)
}

// first are the events a watch begins with.
func (v *View[T]) first(o *metainternal.ListOptions) ([]viewEvent, error) {
	initial := o.SendInitialEvents != nil && *o.SendInitialEvents
	if initial || o.ResourceVersion == "" || o.ResourceVersion == "0" {
		return v.present(), nil
	}
	from, err := strconv.ParseUint(o.ResourceVersion, 10, 64)
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("resourceVersion %q is no number", o.ResourceVersion))
	}
	if from < v.oldest || from > v.revision {
		return nil, apierrors.NewResourceExpired(fmt.Sprintf("revision %d is not remembered, only %d to %d: list again", from, v.oldest, v.revision))
	}
	var after []viewEvent
	for _, e := range v.history {
		if e.revision > from {
			after = append(after, e)
		}
	}
	return after, nil
}

func (v *View[T]) present() []viewEvent {
	var events []viewEvent
	for _, o := range v.sorted() {
		events = append(events, viewEvent{kind: watch.Added, object: o})
	}
	return events
}

// bookmark ends the initial events.
func (v *View[T]) bookmark() Viewable {
	mark := v.make()
	mark.GetObjectKind().SetGroupVersionKind(v.kind.gvk())
	mark.SetResourceVersion(strconv.FormatUint(v.revision, 10))
	mark.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	return mark
}

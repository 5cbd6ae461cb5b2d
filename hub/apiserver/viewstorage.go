package apiserver

import (
	"context"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
)

// viewStorage serves a View. What is not implemented, writing, is answered with 405.
type viewStorage[T Viewable] struct{ *View[T] }

// served is all that the API server looks for in a storage that is read-only.
type served interface {
	rest.Storage
	rest.Scoper
	rest.Getter
	rest.Lister
	rest.Watcher
	rest.SingularNameProvider
	rest.ShortNamesProvider
	rest.CategoriesProvider
}

func (s viewStorage[T]) New() runtime.Object     { return s.make() }
func (s viewStorage[T]) NewList() runtime.Object { return s.makeAll() }
func (s viewStorage[T]) Destroy()                {}
func (s viewStorage[T]) NamespaceScoped() bool   { return s.kind.namespaced }
func (s viewStorage[T]) GetSingularName() string { return s.kind.singular }
func (s viewStorage[T]) ShortNames() []string    { return []string{s.kind.short} }
func (s viewStorage[T]) Categories() []string    { return []string{"isthmus", "views"} }

// Get returns one object.
func (s viewStorage[T]) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[types.NamespacedName{Namespace: request.NamespaceValue(ctx), Name: name}]
	if !ok {
		return nil, apierrors.NewNotFound(s.kind.resource().GroupResource(), name)
	}
	return o.DeepCopyObject(), nil
}

// List returns what a request selects, in one piece: limit and continue are not looked at.
func (s viewStorage[T]) List(ctx context.Context, o *metainternal.ListOptions) (runtime.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	selection := selectionOf(ctx, o)
	items := []runtime.Object{}
	for _, object := range s.sorted() {
		if selection.matches(object) {
			items = append(items, object.DeepCopyObject())
		}
	}
	list := s.makeAll()
	if err := meta.SetList(list, items); err != nil {
		return nil, err
	}
	list.(metav1.ListInterface).SetResourceVersion(strconv.FormatUint(s.revision, 10))
	return list, nil
}

// Watch follows what a request selects.
func (s viewStorage[T]) Watch(ctx context.Context, o *metainternal.ListOptions) (watch.Interface, error) {
	w, err := s.watch(ctx, o)
	if err != nil {
		return nil, err // not w: a nil pointer in an interface is not nil
	}
	return w, nil
}

// ConvertToTable prints objects for people.
func (s viewStorage[T]) ConvertToTable(_ context.Context, shown, options runtime.Object) (*metav1.Table, error) {
	table := &metav1.Table{}
	if o, ok := options.(*metav1.TableOptions); !ok || !o.NoHeaders {
		table.ColumnDefinitions = s.kind.columns
	}
	if list, err := meta.ListAccessor(shown); err == nil {
		table.ResourceVersion = list.GetResourceVersion()
	}
	if !meta.IsListType(shown) {
		table.Rows = append(table.Rows, s.row(shown))
		return table, nil
	}
	return table, meta.EachListItem(shown, func(o runtime.Object) error {
		table.Rows = append(table.Rows, s.row(o))
		return nil
	})
}

func (s viewStorage[T]) row(o runtime.Object) metav1.TableRow {
	return metav1.TableRow{Cells: s.kind.cells(o, s.now()), Object: runtime.RawExtension{Object: o}}
}

package apiserver

import (
	"cmp"
	"encoding/hex"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// Viewable is a pointer to the Go type of a view. Its zero value is never put into a View.
type Viewable interface {
	runtime.Object
	metav1.Object
}

// View holds the objects of one kind of view, in memory, and serves them: get, list and watch.
//
// Its revisions are its own and have nothing to do with etcd's; they begin at the clock's microseconds,
// so that they do not go back when the hub starts again.
type View[T Viewable] struct {
	kind    viewKind
	make    func() T
	makeAll func() runtime.Object // the kind's list
	now     func() time.Time

	mu       sync.Mutex
	revision uint64
	objects  map[types.NamespacedName]T
	history  []viewEvent // newest last, at least historySize of them if there were as many
	oldest   uint64      // revision before the first event of history
	watchers map[*viewWatch]struct{}
}

// viewEvent is a change of a view. Old is nil if the object is new.
type viewEvent struct {
	kind     watch.EventType
	revision uint64
	object   Viewable
	old      Viewable
}

// Sizes of what a View keeps for those who watch.
const (
	historySize = 4096 // events, for a watch that begins in the past
	watchBuffer = 1024 // events a watcher may lie behind before it is ended; the client lists again
)

func newView[T Viewable](kind viewKind, now func() time.Time, makeOne func() T, makeAll func() runtime.Object) *View[T] {
	start := uint64(now().UnixMicro())
	return &View[T]{
		kind: kind, make: makeOne, makeAll: makeAll, now: now, revision: start, oldest: start,
		objects: map[types.NamespacedName]T{}, watchers: map[*viewWatch]struct{}{},
	}
}

func nameOf(o metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
}

// Set puts objects, each in place of the one of its namespace and name. An object equal to the one
// in place makes no event. The view owns the objects from then on; uid, creationTimestamp and
// resourceVersion are filled in.
func (v *View[T]) Set(objects ...T) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, o := range objects {
		v.set(o)
	}
}

// Delete removes objects; unknown names are ignored.
func (v *View[T]) Delete(names ...types.NamespacedName) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, name := range names {
		v.delete(name)
	}
}

// Replace makes objects the whole content.
func (v *View[T]) Replace(objects []T) {
	v.mu.Lock()
	defer v.mu.Unlock()
	gone := make(map[types.NamespacedName]bool, len(v.objects))
	for name := range v.objects {
		gone[name] = true
	}
	for _, o := range objects {
		v.set(o)
		delete(gone, nameOf(o))
	}
	for _, name := range slices.SortedFunc(maps.Keys(gone), compareNames) {
		v.delete(name)
	}
}

// List returns all objects, ordered by namespace and name. They are shared: do not change them.
func (v *View[T]) List() []T {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.sorted()
}

func (v *View[T]) sorted() []T {
	all := make([]T, 0, len(v.objects))
	for _, name := range slices.SortedFunc(maps.Keys(v.objects), compareNames) {
		all = append(all, v.objects[name])
	}
	return all
}

func compareNames(a, b types.NamespacedName) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

func (v *View[T]) set(o T) {
	name := nameOf(o)
	old, replaces := v.objects[name]
	v.fill(o, old, replaces)
	if replaces && equality.Semantic.DeepEqual(o, old) {
		return
	}
	event := viewEvent{kind: watch.Added, object: o}
	if replaces {
		event.kind, event.old = watch.Modified, old
	}
	v.objects[name] = o
	v.record(event)
}

// fill sets what the API promises of every object.
func (v *View[T]) fill(o, old T, replaces bool) {
	o.GetObjectKind().SetGroupVersionKind(v.kind.gvk())
	if replaces {
		o.SetUID(old.GetUID())
		o.SetCreationTimestamp(old.GetCreationTimestamp())
		o.SetResourceVersion(old.GetResourceVersion())
		return
	}
	if at := o.GetCreationTimestamp(); at.IsZero() {
		o.SetCreationTimestamp(metav1.NewTime(v.now().Truncate(time.Second)))
	}
	if o.GetUID() == "" {
		o.SetUID(v.uid(o))
	}
}

// uid is a hash: one for each kind, name and moment of creation.
func (v *View[T]) uid(o T) types.UID {
	h := fnv.New128a()
	h.Write([]byte(v.kind.kind + "\x00" + o.GetNamespace() + "\x00" + o.GetName() + "\x00" + strconv.FormatUint(v.revision, 10)))
	x := hex.EncodeToString(h.Sum(nil))
	return types.UID(x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:])
}

func (v *View[T]) delete(name types.NamespacedName) {
	old, ok := v.objects[name]
	if !ok {
		return
	}
	delete(v.objects, name)
	gone := old.DeepCopyObject().(T) // the deleted object shows the revision of its end
	v.record(viewEvent{kind: watch.Deleted, object: gone, old: old})
}

// record gives an event its revision and tells the watchers.
func (v *View[T]) record(e viewEvent) {
	v.revision++
	e.revision = v.revision
	e.object.SetResourceVersion(strconv.FormatUint(v.revision, 10))
	if len(v.history) == 2*historySize { // half at once, so that an event costs no move of all
		v.oldest = v.history[historySize-1].revision
		v.history = slices.Delete(v.history, 0, historySize)
	}
	v.history = append(v.history, e)
	for w := range v.watchers {
		if !w.send(e) {
			v.drop(w)
		}
	}
}

// drop ends a watcher.
func (v *View[T]) drop(w *viewWatch) {
	if _, ok := v.watchers[w]; ok {
		delete(v.watchers, w)
		close(w.events)
	}
}

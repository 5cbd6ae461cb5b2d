package kube

import (
	"maps"
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// table is what is known of one kind of object, by "namespace/name", each stripped to what is needed. A
// reflector fills it; writers add what the API server answered, so that nobody acts on what he himself
// has just changed.
type table[T any] struct {
	read    func(object any) T
	changed func(key string, before, after *T) // nil for absent; called in order, without locks
	synced  func()                             // after each list

	order sync.Mutex // held while a change is made and told
	mu    sync.RWMutex
	rows  map[string]row[T]
	ready bool
	seen  uint64 // the newest version that the watch has told
}

type row[T any] struct {
	version uint64
	value   *T
}

func newTable[T any](read func(any) T, changed func(string, *T, *T), synced func()) *table[T] {
	return &table[T]{read: read, changed: changed, synced: synced, rows: map[string]row[T]{}}
}

// get returns a row, or nil.
func (t *table[T]) get(key string) *T {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.rows[key].value
}

// all are the rows now.
func (t *table[T]) all() map[string]*T { return t.some(func(*T) bool { return true }) }

// some are the rows now that are as asked for.
func (t *table[T]) some(which func(*T) bool) map[string]*T {
	t.mu.RLock()
	defer t.mu.RUnlock()
	some := map[string]*T{}
	for key, r := range t.rows {
		if which(r.value) {
			some[key] = r.value
		}
	}
	return some
}

// versions are those of the rows now that are as asked for.
func (t *table[T]) versions(which func(*T) bool) map[string]uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	some := map[string]uint64{}
	for key, r := range t.rows {
		if which(r.value) {
			some[key] = r.version
		}
	}
	return some
}

// isReady is whether the table is complete.
func (t *table[T]) isReady() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.ready
}

// versionOf reads what the API server counts changes with; versions of one resource can be compared.
func versionOf(text string) uint64 {
	v, _ := strconv.ParseUint(text, 10, 64) // what is no number is older than everything
	return v
}

func identify(object any) (key string, version uint64) {
	m, err := meta.Accessor(object)
	if err != nil {
		return "", 0
	}
	key, _ = cache.MetaNamespaceKeyFunc(object) // fails only without metadata
	return key, versionOf(m.GetResourceVersion())
}

// stripped is an object of which a reflector keeps no more than the table needs, until it has the whole list.
type stripped[T any] struct {
	metav1.ObjectMeta
	value T
}

// Transformer implements [cache.TransformingStore]: objects are stripped as they come, not when all are there.
func (t *table[T]) Transformer() cache.TransformFunc {
	return func(object any) (any, error) {
		m, err := meta.Accessor(object)
		if err != nil {
			return nil, err
		}
		return &stripped[T]{
			metav1.ObjectMeta{Namespace: m.GetNamespace(), Name: m.GetName(), ResourceVersion: m.GetResourceVersion()}, t.read(object),
		}, nil
	}
}

// listed is what the table needs of an object of a list.
func (t *table[T]) listed(object any) *T {
	if s, is := object.(*stripped[T]); is {
		return new(s.value)
	}
	return new(t.read(object))
}

// Add implements [cache.ReflectorStore].
func (t *table[T]) Add(object any) error { return t.Update(object) }

// Update implements [cache.ReflectorStore].
func (t *table[T]) Update(object any) error {
	key, version := identify(object)
	t.put(key, version, new(t.read(object)), true)
	return nil
}

// learn takes what the API server answered to a writer. It returns the row as it is afterwards.
func (t *table[T]) learn(object any) *T {
	key, version := identify(object)
	t.put(key, version, new(t.read(object)), false)
	return t.get(key)
}

func (t *table[T]) put(key string, version uint64, value *T, watched bool) {
	t.order.Lock()
	defer t.order.Unlock()
	t.mu.Lock()
	before, known := t.rows[key]
	stale := known && before.version >= version || !known && !watched && version <= t.seen
	if !stale {
		t.rows[key] = row[T]{version, value}
	}
	if watched {
		t.seen = max(t.seen, version)
	}
	t.mu.Unlock()
	if !stale {
		t.changed(key, before.value, value)
	}
}

// Delete implements [cache.ReflectorStore].
func (t *table[T]) Delete(object any) error {
	key, version := identify(object)
	t.order.Lock()
	defer t.order.Unlock()
	t.mu.Lock()
	before, known := t.rows[key]
	gone := known && before.version <= version
	if gone {
		delete(t.rows, key)
	}
	t.seen = max(t.seen, version)
	t.mu.Unlock()
	if gone {
		t.changed(key, before.value, nil)
	}
	return nil
}

// Replace implements [cache.ReflectorStore]. A list older than what was seen means that the cluster was
// restored from a backup; then the list is the truth.
func (t *table[T]) Replace(objects []any, version string) error {
	listed := versionOf(version)
	fresh := make(map[string]row[T], len(objects))
	for _, object := range objects {
		key, v := identify(object)
		fresh[key] = row[T]{v, t.listed(object)}
	}
	t.order.Lock()
	defer t.order.Unlock()
	t.mu.Lock()
	old := t.rows
	if listed >= t.seen {
		keepNewer(fresh, old, listed)
	}
	t.rows, t.ready, t.seen = fresh, true, listed
	t.mu.Unlock()
	t.tell(old, maps.Clone(fresh))
	t.synced()
	return nil
}

// keepNewer keeps what writers learned after a list was made.
func keepNewer[T any](fresh, old map[string]row[T], listed uint64) {
	for key, r := range old {
		if r.version > listed {
			fresh[key] = r
		}
	}
}

// tell tells the difference of two states. Caller holds order.
func (t *table[T]) tell(old, fresh map[string]row[T]) {
	for key, r := range fresh {
		if before := old[key]; before.version != r.version {
			t.changed(key, before.value, r.value)
		}
	}
	for key, r := range old {
		if _, ok := fresh[key]; !ok {
			t.changed(key, r.value, nil)
		}
	}
}

// lose forgets everything: the kind is no longer served.
func (t *table[T]) lose() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows, t.ready, t.seen = map[string]row[T]{}, false, 0
}

// Resync implements [cache.ReflectorStore]; nothing is to be done from time to time.
func (t *table[T]) Resync() error { return nil }

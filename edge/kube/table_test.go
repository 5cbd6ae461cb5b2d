package kube

import (
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// recorded is a table of names' versions, and the changes it told.
type recorded struct {
	*table[string]
	changes []string
}

func newRecorded() *recorded {
	r := &recorded{}
	text := func(v *string) string {
		if v == nil {
			return "-"
		}
		return *v
	}
	r.table = newTable(func(o any) string { return o.(*metav1.PartialObjectMetadata).ResourceVersion },
		func(key string, before, after *string) {
			r.changes = append(r.changes, key+" "+text(before)+">"+text(after))
		}, func() {})
	return r
}

func version(name string, v int) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: fmt.Sprint(v)}}
}

func (r *recorded) told(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(r.changes, want) {
		t.Errorf("told %v, want %v", r.changes, want)
	}
	r.changes = nil
}

// Answers to writers and the watch come in any order; the newest counts.
func TestTableTakesTheNewest(t *testing.T) {
	r := newRecorded()
	_ = r.Replace([]any{version("a", 1)}, "3")
	r.told(t, "a ->1")
	r.learn(version("a", 5))
	_ = r.Update(version("a", 4))
	r.told(t, "a 1>5")
	_ = r.Delete(version("a", 4)) // of what was before the write
	r.told(t)
	_ = r.Delete(version("a", 6))
	r.learn(version("a", 5)) // an answer that comes after its object is gone
	r.told(t, "a 5>-")
}

func TestTableListedAnew(t *testing.T) {
	r := newRecorded()
	_ = r.Replace([]any{version("a", 1), version("b", 2)}, "3")
	r.learn(version("c", 9))
	r.changes = nil
	_ = r.Replace([]any{version("b", 2)}, "8") // before c was written
	r.told(t, "a 1>-")
	_ = r.Replace([]any{version("b", 1)}, "2") // the cluster was restored
	slices.Sort(r.changes)
	r.told(t, "b 2>1", "c 9>-")
}

// A reflector keeps objects stripped until it has the list, under the same names and with what the table reads of them.
func TestTableTakesStrippedObjects(t *testing.T) {
	r := newRecorded()
	var store cache.TransformingStore = r.table
	list := cache.NewStore(cache.DeletionHandlingMetaNamespaceKeyFunc, cache.WithTransformer(store.Transformer()))
	whole := version("a", 1)
	whole.Namespace, whole.Annotations = "shop", map[string]string{"long": "text"}
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	check(list.Add(whole))
	kept, is := list.List()[0].(metav1.ObjectMetaAccessor)
	if !is || len(kept.GetObjectMeta().GetAnnotations()) > 0 {
		t.Errorf("it keeps %v", list.List())
	}
	check(store.Replace(list.List(), "3"))
	r.told(t, "shop/a ->1")
	_ = r.Replace([]any{version("b", 2)}, "4") // as a list without a stream comes
	slices.Sort(r.changes)
	r.told(t, "b ->2", "shop/a 1>-")
}

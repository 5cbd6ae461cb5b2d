package hub

import (
	"log/slog"
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/isthmus-mesh/isthmus/compiler"
	"github.com/isthmus-mesh/isthmus/hub/apiserver"
	"github.com/isthmus-mesh/isthmus/hub/inventory"
)

// intake tells what is new to the compiler in what was written. Most writes are the hub's own, of
// status; they must not cost a revision.
type intake struct {
	known map[inventory.Object]version
	log   *slog.Logger
}

// version is what makes an object new to the compiler.
type version struct {
	uid         types.UID
	generation  int64
	deleting    bool
	labels      map[string]string
	annotations map[string]string
}

func newIntake(log *slog.Logger) *intake {
	return &intake{known: map[inventory.Object]version{}, log: log}
}

// news is what a number of batches bring.
type news struct {
	revision int64
	// oldest is when the first of intent was read; zero without any.
	oldest time.Time
	// intent is what the compiler has to know, written everything that was, status included.
	intent  []compiler.Change
	written []apiserver.Change
}

// take adds a batch to the news.
func (i *intake) take(n *news, batch apiserver.Batch) {
	n.revision = batch.Revision
	changes := batch.Changes
	if batch.Reset {
		changes = append(changes, i.missing(changes)...)
	}
	for _, change := range changes {
		if change.Err != nil {
			i.log.Error("hub: an object cannot be read; its last version stands", "kind", change.Kind, "namespace", change.Namespace, "name", change.Name, "err", change.Err)
			continue
		}
		n.written = append(n.written, change)
		if !i.isNew(change) {
			continue
		}
		n.intent = append(n.intent, intentOf(change))
		if n.oldest.IsZero() || change.Time.Before(n.oldest) {
			n.oldest = change.Time
		}
	}
}

// missing are deletions of what is known and not in a complete batch.
func (i *intake) missing(all []apiserver.Change) []apiserver.Change {
	there := make(map[inventory.Object]bool, len(all))
	for _, change := range all {
		there[objectOf(change)] = true
	}
	var gone []apiserver.Change
	for object := range maps.Keys(i.known) {
		if !there[object] {
			gone = append(gone, apiserver.Change{Kind: object.Kind, Namespace: object.Namespace, Name: object.Name})
		}
	}
	return gone
}

// isNew tells whether more than the status changed, and remembers.
func (i *intake) isNew(change apiserver.Change) bool {
	key := objectOf(change)
	old, known := i.known[key]
	if change.Object == nil {
		delete(i.known, key)
		return known
	}
	meta := change.Object.(metav1.Object)
	now := version{meta.GetUID(), meta.GetGeneration(), meta.GetDeletionTimestamp() != nil, meta.GetLabels(), meta.GetAnnotations()}
	i.known[key] = now
	// A token's status says who used it, which edges must know. Kinds without a generation have no status.
	return !known || change.Kind == kindJoinToken || now.generation == 0 || !now.equal(old)
}

func (v version) equal(w version) bool {
	return v.uid == w.uid && v.generation == w.generation && v.deleting == w.deleting &&
		maps.Equal(v.labels, w.labels) && maps.Equal(v.annotations, w.annotations)
}

func intentOf(change apiserver.Change) compiler.Change {
	c := compiler.Change{Kind: change.Kind, Namespace: change.Namespace, Name: change.Name}
	if change.Object != nil {
		c.Object = change.Object
	}
	return c
}

func objectOf(change apiserver.Change) inventory.Object {
	return inventory.Object{Kind: change.Kind, Namespace: change.Namespace, Name: change.Name}
}

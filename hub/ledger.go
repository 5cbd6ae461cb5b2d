package hub

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler"
	"github.com/isthmus-mesh/isthmus/hub/apiserver"
	"github.com/isthmus-mesh/isthmus/hub/inventory"
)

// ledger knows what has to be said of every object, and what its storage says. It implements
// [inventory.Events]. Its methods may be called from any goroutine; update belongs to the pipeline.
type ledger struct {
	inventory *inventory.Inventory
	queue     workqueue.TypedRateLimitingInterface[inventory.Object]
	metrics   *metrics
	now       func() time.Time
	log       *slog.Logger

	mu      sync.Mutex // guards what follows; taken before the inventory's
	entries map[inventory.Object]*entry
	waiting map[string][]waiter // by zone, in the order of revisions
}

// entry is what is known of one object.
type entry struct {
	uid    types.UID
	said   compiler.ObjectStatus
	stored document
	// away are the zones that have not confirmed the generation, with the revision each has to reach.
	away revisions
	// since is when the generation was published.
	since time.Time
	// receipt says who runs the generation; empty until everybody concerned does. Once said it stays:
	// proxies that come later are given nothing older.
	receipt string
	// serial counts up when the object has to travel anew.
	serial int
}

// waiter is an object that waits for a zone to reach a revision.
type waiter struct {
	object   inventory.Object
	serial   int
	revision int64
}

func newLedger(m *metrics, now func() time.Time, log *slog.Logger) *ledger {
	return &ledger{
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[inventory.Object](retryFirst, retryLast)), metrics: m, now: now, log: log,
		entries: map[inventory.Object]*entry{}, waiting: map[string][]waiter{},
	}
}

// Delays of status writes.
const (
	// receiptPatience is how long a status waits for the receipts, which mostly come within that time,
	// so that an object is written once and not twice.
	receiptPatience = 250 * time.Millisecond
	// echoPatience is how long a status that looks foreign is left alone: it may be an older one of
	// our own, with the newer on its way.
	echoPatience = 100 * time.Millisecond
	// retryFirst and retryLast are the pauses after a write that failed once, and many times.
	retryFirst, retryLast = time.Second, time.Minute
)

// update takes what was written, what the compiler made of it, and the newest revision published
// in each zone.
func (l *ledger) update(written []apiserver.Change, out *compiler.Output, zones revisions) {
	l.mu.Lock()
	for _, change := range written {
		l.read(change)
	}
	if out != nil {
		for _, said := range out.Statuses {
			l.judge(said, zones)
		}
	}
	l.mu.Unlock()
	for zone := range zones {
		l.Progressed(zone) // an object may need no more than what everybody runs already
	}
}

// read takes an object as it is stored.
func (l *ledger) read(change apiserver.Change) {
	key := objectOf(change)
	if change.Object == nil || !hasStatus(change.Kind) {
		delete(l.entries, key)
		return
	}
	uid := change.Object.(metav1.Object).GetUID()
	e := l.entries[key]
	if e == nil || e.uid != uid {
		e = &entry{uid: uid}
		l.entries[key] = e
	}
	stored := documentOf(change.Object)
	if e.stored.covers(stored) && stored.covers(e.stored) {
		return
	}
	e.stored.merge(stored)
	l.queue.AddAfter(key, echoPatience)
}

// judge takes what the compiler says of an object.
func (l *ledger) judge(said compiler.ObjectStatus, zones revisions) {
	key := inventory.Object{Kind: said.Kind, Namespace: said.Namespace, Name: said.Name}
	e := l.entries[key]
	if e == nil {
		l.complain(said)
		return
	}
	before := e.said
	e.said = said
	if !travels(said.Kind) || !l.travelsAnew(e, before) {
		l.drop(e)
		l.queue.Add(key)
		return
	}
	l.send(key, e, zones)
	if len(e.away) > 0 && accepted(said) {
		l.queue.AddAfter(key, receiptPatience)
		return
	}
	l.queue.Add(key)
}

// complain logs what is wrong with something that has no status to say it in: a discovered service.
func (l *ledger) complain(said compiler.ObjectStatus) {
	for _, c := range said.Conditions {
		if c.Status == metav1.ConditionFalse {
			l.log.Warn("hub: "+c.Message, "kind", said.Kind, "namespace", said.Namespace, "name", said.Name, "condition", c.Type, "reason", c.Reason)
		}
	}
}

// travelsAnew tells whether what the object says has to reach proxies that have not confirmed it: a
// new generation, an object accepted only now, a zone more than before. An object whose stored status says
// that this generation is programmed needs not be confirmed again when the hub restarts.
func (l *ledger) travelsAnew(e *entry, before compiler.ObjectStatus) bool {
	if before.Kind == "" {
		if c := find(e.stored.conditions(), v1alpha1.ConditionProgrammed); c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == e.said.Generation {
			e.receipt = c.Message
			return false
		}
		return true
	}
	more := slices.ContainsFunc(e.said.Zones, func(zone string) bool { return !slices.Contains(before.Zones, zone) })
	return more || e.said.Generation != before.Generation || accepted(e.said) && !accepted(before)
}

// drop takes the zones away that the object concerns no longer.
func (l *ledger) drop(e *entry) {
	for zone := range maps.Keys(e.away) {
		if !slices.Contains(e.said.Zones, zone) {
			delete(e.away, zone)
		}
	}
}

// send has an object wait for every zone it concerns to reach the newest revision published there.
func (l *ledger) send(key inventory.Object, e *entry, zones revisions) {
	e.serial++
	e.receipt, e.since, e.away = "", l.now(), revisions{}
	for _, zone := range e.said.Zones {
		e.away[zone] = zones[zone]
		l.waiting[zone] = append(l.waiting[zone], waiter{key, e.serial, zones[zone]})
	}
}

// Progressed lets go of the objects whose revision a zone has reached.
func (l *ledger) Progressed(zone string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting[zone]) == 0 {
		delete(l.waiting, zone)
		return
	}
	floor, ok := l.inventory.Floor(zone)
	if !ok {
		return
	}
	waiting := l.waiting[zone]
	for len(waiting) > 0 && waiting[0].revision <= floor {
		l.arrived(zone, waiting[0])
		waiting = waiting[1:]
	}
	l.waiting[zone] = waiting
}

// arrived notes that an object is everywhere in a zone.
func (l *ledger) arrived(zone string, w waiter) {
	e := l.entries[w.object]
	if e == nil || e.serial != w.serial {
		return
	}
	delete(e.away, zone)
	if len(e.away) > 0 || !accepted(e.said) {
		return
	}
	l.confirm(e)
	l.queue.Add(w.object)
}

// confirm writes the receipt: everybody concerned runs the object.
func (l *ledger) confirm(e *entry) {
	proxies := 0
	for _, zone := range e.said.Zones {
		proxies += l.inventory.Progress(zone, 0).Proxies
	}
	e.receipt = receipt(proxies, proxies, len(e.said.Zones))
	l.metrics.programmed(l.now().Sub(e.since))
}

// Rejected has the objects' statuses written anew.
func (l *ledger) Rejected(objects []inventory.Object) {
	for _, object := range objects {
		l.queue.Add(object)
	}
}

// ZoneChanged has the zone's status written anew.
func (l *ledger) ZoneChanged(zone string) {
	l.queue.Add(inventory.Object{Kind: kindZone, Name: zone})
}

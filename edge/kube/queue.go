package kube

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
)

// queue holds the names of resources to look at, each once.
type queue struct {
	workqueue.TypedRateLimitingInterface[string]
}

// parallel is how many objects are written at once.
const parallel = 8

// Retries of one object begin at once and slow down.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 5 * time.Second
)

func newQueue() *queue {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstRetry, lastRetry)
	return &queue{workqueue.NewTypedRateLimitingQueue(limiter)}
}

// term is the time in which this edge writes and reports; it ends with ctx.
func (c *Cluster) term(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	q := newQueue()
	c.queue.Store(q)
	c.takeOver()
	c.retell()
	c.enqueueAll()
	c.inventory.open()
	var working sync.WaitGroup
	for range parallel {
		working.Go(func() { c.work(ctx, q) })
	}
	working.Go(func() { c.tellFacts(ctx) })
	if c.receipts != nil {
		working.Go(func() { c.receipts.run(ctx) })
	}
	<-ctx.Done()
	c.inventory.close()
	c.queue.Store(nil)
	q.ShutDown()
	working.Wait()
}

// retell tells the newest revision again: the hub may have heard it of an edge that led before. Where istiods are
// asked, each term asks anew.
func (c *Cluster) retell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.progress.applied > 0 && c.receipts == nil {
		c.config.Events.Applied(c.progress.applied)
	}
}

func (c *Cluster) work(ctx context.Context, q *queue) {
	for {
		name, ended := q.Get()
		if ended {
			return
		}
		c.attend(ctx, q, name)
		q.Done(name)
	}
}

// attend looks at a resource, and later again if that failed.
func (c *Cluster) attend(ctx context.Context, q *queue, name string) {
	if ctx.Err() != nil {
		return
	}
	pause, err := c.reconcile(ctx, name)
	switch {
	case err == nil && pause == 0:
		q.Forget(name)
	case pause > 0:
		q.AddAfter(name, pause)
	default:
		q.AddRateLimited(name)
	}
}

// enqueue has a resource looked at. Without a term it is not needed: each begins with all.
func (c *Cluster) enqueue(name string) {
	if q := c.queue.Load(); q != nil {
		q.Add(name)
	}
}

// enqueueAll has everything looked at that is wanted, there, or waited for.
func (c *Cluster) enqueueAll() {
	for _, name := range c.namesWanted(func(*wanted) bool { return true }) {
		c.enqueue(name)
	}
	c.enqueuePending("")
	for _, kind := range kindNames() {
		c.enqueueOwn(kind)
	}
}

// enqueueOwn has all objects of a kind that are ours looked at.
func (c *Cluster) enqueueOwn(kind string) {
	for key, l := range c.objects[kind].all() {
		if l.own {
			c.enqueue(kind + "/" + key)
		}
	}
}

// enqueuePending has looked at what a revision waits for, be it that something is gone. Names begin with the prefix.
func (c *Cluster) enqueuePending(prefix string) {
	c.mu.Lock()
	names := slices.Collect(maps.Keys(c.progress.pending))
	c.mu.Unlock()
	for _, name := range names {
		if strings.HasPrefix(name, prefix) {
			c.enqueue(name)
		}
	}
}

func (c *Cluster) namesWanted(which func(*wanted) bool) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for name, w := range c.wanted {
		if which(w) {
			names = append(names, name)
		}
	}
	return names
}

// objectChanged is told by the table of a kind.
func (c *Cluster) objectChanged(kind string) func(string, *live, *live) {
	return func(key string, before, after *live) {
		c.facts.stale.Store(true)
		name := kind + "/" + key
		if w, _ := c.want(name); w != nil || after != nil && after.own || before != nil && before.own {
			c.enqueue(name)
		}
	}
}

// kindSynced is told by the table of a kind after each list.
func (c *Cluster) kindSynced(kind string) func() {
	return func() {
		c.facts.stale.Store(true)
		for _, name := range c.namesWanted(func(w *wanted) bool { return w.err == nil && w.kind.name == kind }) {
			c.enqueue(name)
		}
		c.enqueuePending(kind + "/") // others would be deleted twice
		c.enqueueOwn(kind)
	}
}

// namespaceChanged is told by the table of namespaces.
func (c *Cluster) namespaceChanged(key string, before, after *namespace) {
	if before != nil && after != nil && before.terminating == after.terminating {
		return
	}
	for _, name := range c.namesWanted(func(w *wanted) bool { return w.err == nil && w.namespace == key }) {
		c.enqueue(name)
	}
}

package kube

import (
	"errors"
	"fmt"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// Apply makes a revision of the zone's configuration what the cluster should have. The first one must be
// the whole configuration: what the cluster has of ours besides is deleted. It does not wait for the
// cluster. What cannot be read is reported to Events.Rejected and the rest is applied; the error joins
// what was reported, for a log.
func (c *Cluster) Apply(revision int64, upserts []*feedpb.Resource, removed []string) error {
	c.mu.Lock()
	var problems []error
	var names []string
	for _, name := range removed {
		c.note(name)
		delete(c.wanted, name)
		names = append(names, name)
	}
	for _, r := range upserts {
		w := newWanted(r, c.config.Zone)
		if w.err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", r.Name, w.err))
		}
		if c.inherit(w) {
			names = append(names, r.Name)
		}
	}
	first := !c.opened
	if first && c.receipts != nil {
		c.recall()
	}
	c.opened = true
	names = append(names, c.keepNeeded()...)
	if first {
		clear(c.contained.changed) // the cluster may have it already: there is no "before"
	}
	c.remember()
	c.progress.take(revision, names)
	c.mu.Unlock()
	c.advance()
	if first {
		c.enqueueAll()
	}
	for _, name := range names {
		c.enqueue(name)
	}
	return errors.Join(problems...)
}

// inherit replaces what was wanted, and reports whether that changes anything. Caller holds mu.
func (c *Cluster) inherit(w *wanted) bool {
	old := c.wanted[w.Name]
	if old != nil && old.Version == w.Version && old.hash == w.hash {
		return false
	}
	c.note(w.Name)
	c.wanted[w.Name] = w
	return true
}

// note has what is about to change remembered, for the case that proxies refuse the change. What was there before the
// first Apply is not known. Caller holds mu.
func (c *Cluster) note(name string) {
	if c.receipts != nil && c.opened && c.contained.note(name, c.now(name)) {
		c.refusals.resolve(name)
	}
}

// Applied returns what was last told by Events.Applied; 0 for none.
func (c *Cluster) Applied() int64 {
	if c.receipts != nil {
		return c.receipts.known()
	}
	return c.newestApplied()
}

// newestApplied is the newest revision that is wholly in the cluster.
func (c *Cluster) newestApplied() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.progress.applied
}

// settle notes that a resource needs nothing more, unless something else is wanted by now; then it
// returns false.
func (c *Cluster) settle(name string, w *wanted) bool {
	c.mu.Lock()
	current := c.now(name) == w
	if current {
		c.progress.settle(name)
	}
	c.mu.Unlock()
	c.advance()
	return current
}

func (c *Cluster) isWanted(w *wanted) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now(w.Name) == w
}

// advance tells the newest revision applied, in order, as it has to be while holding mu.
func (c *Cluster) advance() {
	c.mu.Lock()
	defer c.mu.Unlock()
	waited := !c.progress.whole()
	revision, news := c.progress.advance()
	switch {
	case c.receipts != nil && waited && (news || c.progress.whole()):
		c.receipts.wake()
	case c.receipts == nil && news:
		c.config.Events.Applied(revision)
	}
}

// wants is whether something of a kind is wanted.
func (c *Cluster) wants(kind string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.wanted {
		if w.err == nil && w.kind.name == kind {
			return true
		}
	}
	return false
}

func (c *Cluster) want(name string) (w *wanted, opened bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now(name), c.opened
}

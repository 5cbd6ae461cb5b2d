package kube

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// receipts are what proxies of the cluster acknowledged, as their istiods tell; see
// docs/adr/0011-receipts-from-istiod.md for the rule.
type receipts struct {
	cluster *Cluster
	// account is who asks the istiods; it is theirs, in their namespace.
	account types.NamespacedName
	// kick has a survey look at once.
	kick chan struct{}

	mu      sync.Mutex // guards what follows and orders what is told
	applied int64      // revision of which every proxy concerned is known
	told    map[string]int64
}

func newReceipts(c *Cluster, account types.NamespacedName) *receipts {
	return &receipts{cluster: c, account: account, kick: make(chan struct{}, 1), told: map[string]int64{}}
}

// wake has the survey look for a new revision.
func (r *receipts) wake() {
	select {
	case r.kick <- struct{}{}:
	default: // it will
	}
}

// run surveys the istiods until ctx ends.
func (r *receipts) run(ctx context.Context) {
	s := &survey{receipts: r, links: map[string]*link{}, writer: rand.Text(), unseen: map[string]time.Time{}}
	defer s.end()
	for ctx.Err() == nil {
		pause := time.NewTimer(s.look(ctx))
		select {
		case <-ctx.Done():
		case <-r.kick:
		case <-s.marked():
		case <-pause.C:
		}
		pause.Stop()
	}
}

// view is what a survey found: proxies by name.
type view struct {
	revision int64
	// known is whether all istiods that were asked had the revision, and so every proxy is here.
	known   bool
	current []string // have the revision
	behind  []string
	refused map[string]string // in the proxies' words
}

// tell tells what is news, first who is behind.
func (r *receipts) tell(v view) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.news(0, without(v.behind, func(name string) bool { _, told := r.told[name]; return told }))
	r.news(v.revision, without(v.current, func(name string) bool { return r.told[name] == v.revision }))
	if v.known && v.revision != r.applied {
		r.applied = v.revision
		r.cluster.config.Events.Applied(v.revision)
	}
}

// without are the names that are not as asked for.
func without(names []string, which func(string) bool) []string {
	return slices.DeleteFunc(slices.Clone(names), which)
}

func (r *receipts) news(revision int64, names []string) {
	for _, name := range names {
		r.told[name] = revision
	}
	if len(names) > 0 {
		r.cluster.config.Events.Acknowledged(revision, names)
	}
}

// keep tells of proxies that are gone.
func (r *receipts) keep(there map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gone := slices.DeleteFunc(slices.Sorted(maps.Keys(r.told)), func(name string) bool { return there[name] })
	for _, name := range gone {
		delete(r.told, name)
	}
	if len(gone) > 0 {
		r.cluster.config.Events.Gone(gone)
	}
}

// known is the newest revision of which every proxy concerned is known.
func (r *receipts) known() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.applied
}

// clear tells that proxies are no business of this edge any more: another one leads and names them. The cluster itself
// stays where it was, so that nothing looks programmed meanwhile.
func (r *receipts) clear() {
	r.keep(nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.applied = 0
}

// Receipts returns the newest revision that each proxy acknowledged, by its name; 0 for none. Empty while this edge
// does not lead, or does not ask.
func (c *Cluster) Receipts() map[string]int64 {
	if c.receipts == nil {
		return nil
	}
	c.receipts.mu.Lock()
	defer c.receipts.mu.Unlock()
	return maps.Clone(c.receipts.told)
}

package feed

import (
	"sync"
	"time"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// zone is the newest state of a zone and the streams that follow it.
type zone struct {
	mu        sync.Mutex
	published bool
	revision  int64
	committed time.Time
	state     map[string]*feedpb.Resource
	followers map[*follower]struct{}
	ended     chan struct{}
}

// follower is one stream's view of a zone. dirty are the names in which the edge may differ from the
// zone; it never holds more than the names of both. dirty is guarded by the zone's mutex; have
// belongs to the stream's goroutine.
type follower struct {
	zone  *zone
	have  map[string]string
	dirty map[string]struct{}
	wake  chan struct{}
}

// change is what a follower has to be sent, sorted by nothing: a revision is a set.
type change struct {
	revision  int64
	committed time.Time
	upserts   []*feedpb.Resource
	removed   []string
}

func newZone() *zone {
	return &zone{state: map[string]*feedpb.Resource{}, followers: map[*follower]struct{}{}, ended: make(chan struct{})}
}

func (z *zone) publish(revision int64, committed time.Time, upserts []*feedpb.Resource, removed []string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, r := range upserts {
		z.put(r)
	}
	for _, name := range removed {
		z.remove(name)
	}
	z.advance(revision, committed)
}

func (z *zone) reset(revision int64, committed time.Time, state []*feedpb.Resource) {
	z.mu.Lock()
	defer z.mu.Unlock()
	keep := make(map[string]struct{}, len(state))
	for _, r := range state {
		keep[r.Name] = struct{}{}
		z.put(r)
	}
	for name := range z.state {
		if _, ok := keep[name]; !ok {
			z.remove(name)
		}
	}
	z.advance(revision, committed)
}

func (z *zone) put(r *feedpb.Resource) {
	if old := z.state[r.Name]; old != nil && old.Version == r.Version {
		return
	}
	z.state[r.Name] = r
	z.mark(r.Name)
}

func (z *zone) remove(name string) {
	delete(z.state, name)
	z.mark(name)
}

func (z *zone) mark(name string) {
	for f := range z.followers {
		f.dirty[name] = struct{}{}
	}
}

func (z *zone) advance(revision int64, committed time.Time) {
	z.published, z.revision, z.committed = true, revision, committed
	for f := range z.followers {
		f.notify()
	}
}

func (z *zone) end() { close(z.ended) }

// follow begins a follower that has the versions given; every name of either side may differ.
func (z *zone) follow(have map[string]string) *follower {
	f := &follower{zone: z, have: map[string]string{}, dirty: map[string]struct{}{}, wake: make(chan struct{}, 1)}
	z.mu.Lock()
	defer z.mu.Unlock()
	for name, version := range have {
		f.have[name] = version
		f.dirty[name] = struct{}{}
	}
	for name := range z.state {
		f.dirty[name] = struct{}{}
	}
	z.followers[f] = struct{}{}
	if z.published {
		f.notify()
	}
	return f
}

func (f *follower) stop() {
	f.zone.mu.Lock()
	defer f.zone.mu.Unlock()
	delete(f.zone.followers, f)
}

// notify wakes the stream; one wake-up stands for any number of changes.
func (f *follower) notify() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// take returns what the edge lacks now, and forgets that it is dirty.
func (f *follower) take() change {
	f.zone.mu.Lock()
	defer f.zone.mu.Unlock()
	c := change{revision: f.zone.revision, committed: f.zone.committed}
	for name := range f.dirty {
		r, has := f.zone.state[name], f.has(name)
		switch {
		case r == nil && has:
			c.removed = append(c.removed, name)
		case r != nil && (!has || f.have[name] != r.Version):
			c.upserts = append(c.upserts, r)
		}
	}
	clear(f.dirty)
	return c
}

func (f *follower) has(name string) bool { _, ok := f.have[name]; return ok }

// accepted notes that the edge has applied a change.
func (f *follower) accepted(c change) {
	for _, r := range c.upserts {
		f.have[r.Name] = r.Version
	}
	for _, name := range c.removed {
		delete(f.have, name)
	}
}

// refused makes a change's names dirty again, to be part of the next revision.
func (f *follower) refused(c change) {
	f.zone.mu.Lock()
	defer f.zone.mu.Unlock()
	for _, r := range c.upserts {
		f.dirty[r.Name] = struct{}{}
	}
	for _, name := range c.removed {
		f.dirty[name] = struct{}{}
	}
}

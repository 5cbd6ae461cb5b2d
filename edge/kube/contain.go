package kube

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// containment keeps out of the cluster what its proxies refuse. When one refuses something, what changed since all
// took everything is put back to what was there, and a trial finds the change that is to blame. That one stays put
// back, and its intent is told, until it changes. What changes during a trial waits for its end.
//
// Guarded by the Cluster's mu.
type containment struct {
	// changed is what was there before the changes since all proxies took everything, by name; nil for nothing.
	changed map[string]*wanted
	// held is what is in the cluster instead of what is wanted, by name.
	held  map[string]*hold
	trial *trial // nil for none
	// generation counts what this did to the cluster.
	generation int
	keeping
}

type hold struct {
	instead *wanted // nil for nothing
}

// accusation is what a proxy refuses, in its words.
type accusation struct{ proxy, words string }

func newContainment(zone string) *containment {
	return &containment{changed: map[string]*wanted{}, held: map[string]*hold{}, keeping: newKeeping(zone)}
}

// note takes a change of what is wanted; old is what was, nil for nothing. It returns whether a verdict is void.
func (k *containment) note(name string, old *wanted) (pardoned bool) {
	if h := k.held[name]; h != nil {
		old, pardoned = h.instead, true
		delete(k.held, name)
		k.unsaved = true
		k.generation++
	}
	if _, known := k.changed[name]; !known {
		k.changed[name] = old
	}
	if len(k.held) > 0 {
		k.keep(name, old)
	}
	if k.trial != nil {
		k.trial.drop(name)
		k.trial.add(name)
		k.held[name] = &hold{k.changed[name].again()}
		k.generation++
	}
	return pardoned
}

// again is an object as it is before it is written for the first time.
func (w *wanted) again() *wanted {
	if w == nil {
		return nil
	}
	return &wanted{Resource: w.Resource, id: w.id, body: w.body, hash: w.hash, origins: w.origins, err: w.err}
}

// takeOver begins a term: what changed while another edge led has no "before" here, and what is known to be refused is
// told from now on.
func (c *Cluster) takeOver() {
	c.mu.Lock()
	clear(c.contained.changed)
	c.mu.Unlock()
	c.refusals.retell()
}

// now is what should be in the cluster under a name; nil for nothing. Caller holds mu.
func (c *Cluster) now(name string) *wanted {
	if h := c.contained.held[name]; h != nil {
		return h.instead
	}
	return c.contained.with(name, c.wanted[name])
}

// keepNeeded finds anew what must be kept, now that something else is put back, and returns the names that may be
// something else. Caller holds mu.
func (c *Cluster) keepNeeded() []string {
	k, before := c.contained, map[string]*wanted{}
	for name := range k.kept {
		before[name] = c.now(name)
	}
	touched := k.heldChanged(k.held)
	for _, name := range touched {
		if _, known := k.changed[name]; !known && !before[name].same(c.now(name)) {
			k.changed[name] = before[name]
		}
	}
	return touched
}

// same is whether two objects are the same to proxies.
func (w *wanted) same(other *wanted) bool {
	return w == other || w != nil && other != nil && w.hash == other.hash
}

// changes are what proxies have to take, as it is written now. Caller holds mu.
func (c *Cluster) changes() map[string]*wanted {
	all := map[string]*wanted{}
	for name := range c.contained.changed {
		if _, pending := c.progress.pending[name]; !pending {
			all[name] = c.now(name)
		}
	}
	return all
}

// verdict is what proxies made of a passage that began with some changes: all took it, or one refuses. It is void
// when something was done since.
func (c *Cluster) verdict(generation int, changes map[string]*wanted, refusal *accusation) {
	c.mu.Lock()
	k := c.contained
	var touched []string
	switch {
	case generation != k.generation:
	case k.trial == nil && refusal == nil:
		c.acquitWritten(changes)
	case k.trial == nil:
		touched = c.accuse(*refusal)
	case !k.trial.confirmed && refusal != nil: // it is not our changes
		touched = c.acquit(slices.Collect(maps.Keys(k.held)))
		k.trial = nil
	default:
		touched = c.goOn(refusal)
	}
	if len(touched) > 0 {
		touched = append(touched, c.keepNeeded()...)
		c.progress.take(c.progress.newest(), touched)
	}
	c.remember()
	c.mu.Unlock()
	for _, name := range touched {
		c.enqueue(name)
	}
	c.advance()
}

// acquitWritten forgets changes that all proxies took. Caller holds mu.
func (c *Cluster) acquitWritten(changes map[string]*wanted) {
	k := c.contained
	for name, w := range changes {
		switch before, changed := k.changed[name]; {
		case !changed || k.held[name] != nil:
		case c.now(name) == w:
			delete(k.changed, name)
		case before != w: // it changed once more
			k.changed[name] = w
		}
	}
}

// accuse puts back what changed, if something did. Caller holds mu.
func (c *Cluster) accuse(a accusation) (touched []string) {
	k := c.contained
	suspects := slices.SortedFunc(maps.Keys(k.changed), byDependence)
	if len(suspects) == 0 {
		return nil
	}
	c.config.Log.Warn("a proxy refuses its configuration; what changed is put back", "proxy", a.proxy, "changes", len(suspects), "words", a.words)
	k.trial = newTrial(suspects, a)
	k.generation++
	for _, name := range suspects {
		k.keep(name, k.changed[name])
		k.held[name] = &hold{k.changed[name].again()}
	}
	return suspects
}

// byDependence sorts what others lead to before those: a route is no use without its destination.
func byDependence(a, b string) int {
	return cmp.Or(cmp.Compare(standing(a), standing(b)), strings.Compare(a, b))
}

func standing(name string) int {
	kind, _, _ := strings.Cut(name, "/")
	if slices.Contains([]string{"ServiceEntry", "WorkloadEntry", "DestinationRule"}, kind) {
		return 0
	}
	return 1
}

// goOn takes what became of the changes that are tried, and tries the next ones. Caller holds mu.
func (c *Cluster) goOn(refusal *accusation) (touched []string) {
	k := c.contained
	t := k.trial
	switch {
	case !t.confirmed:
		t.confirmed = true
	case refusal != nil:
		for _, name := range t.trying {
			k.held[name] = &hold{k.changed[name].again()}
		}
		touched = slices.Clone(t.trying)
		t.refused(*refusal)
	default:
		c.acquit(t.trying)
		t.taken()
	}
	trying, convicted := t.next()
	for _, one := range convicted {
		c.convict(one)
	}
	for _, name := range trying {
		delete(k.held, name)
		if w := c.wanted[name]; w != nil {
			c.wanted[name] = w.again()
		}
	}
	if len(trying) == 0 {
		k.trial = nil
	}
	k.generation++
	return append(touched, trying...)
}

// acquit releases changes for good. Caller holds mu.
func (c *Cluster) acquit(names []string) []string {
	k := c.contained
	for _, name := range names {
		if _, changed := k.changed[name]; !changed {
			continue // convicted earlier
		}
		if k.held[name] != nil {
			delete(k.held, name)
			if w := c.wanted[name]; w != nil {
				c.wanted[name] = w.again()
			}
			k.generation++
		}
		delete(k.changed, name)
	}
	return names
}

// convict keeps a change put back and tells its intent why. Caller holds mu.
func (c *Cluster) convict(one conviction) {
	delete(c.contained.changed, one.name)
	c.contained.unsaved = true
	c.config.Log.Warn("a proxy refuses an object; it stays as it was", "proxy", one.proxy, "object", one.name, "words", one.words)
	w := c.wanted[one.name]
	if w == nil {
		w = c.contained.held[one.name].instead // it is refused to take it away
	}
	if w != nil {
		c.refusals.tellOf(&feedpb.Rejection{Resource: one.name, Version: w.Version, Origins: w.Origins, Proxy: one.proxy, Message: one.words})
	}
}

// target is what a passage that begins now is about.
type target struct {
	revision   int64
	generation int
	// changes are what proxies have not taken before.
	changes map[string]*wanted
}

// target is what a passage should be about now, if what it is about is outdated: told is what would be next, and whether it
// is better to wait because what is put back, or tried, is not in the cluster yet.
func (c *Cluster) target(outdated func(told target, wait bool) bool) (next target, is bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next = target{revision: c.progress.applied, generation: c.contained.generation}
	if !outdated(next, !c.progress.whole()) {
		return next, false
	}
	next.changes = c.changes()
	return next, true
}

// onTrial is whether what proxies have is not what was asked for, and nobody was told yet.
func (c *Cluster) onTrial(generation int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.contained.trial != nil || c.contained.generation != generation
}

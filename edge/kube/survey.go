package kube

import (
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
)

// survey follows one revision after another through the istiods. Its fields belong to the goroutine that looks.
type survey struct {
	*receipts
	// writer and mark are those of the newest mark that was written; entered whether there is something to hang it on.
	writer  string
	mark    uint64
	entered bool

	target
	wanted map[string]uint64 // versions of our objects, by "Kind/namespace/name"
	began  time.Time
	judged bool // what became of it is decided

	links    map[string]*link     // by address
	unseen   map[string]time.Time // proxies that do not answer, since when
	restless time.Duration        // pause before the next look
}

// How often is looked: at once while something moves, slowly for proxies that do not answer, and seldom when all
// have all, for those that come and go.
const (
	soon   = 3 * time.Millisecond
	late   = time.Second
	seldom = 5 * time.Second
)

// overtaking is how long a revision may be followed when there is a newer one.
const overtaking = time.Second

// look goes one step with everything and returns when to look again.
func (s *survey) look(ctx context.Context) time.Duration {
	s.reach(ctx)
	s.aim()
	if s.revision == 0 {
		return seldom
	}
	counted := s.cluster.counted()
	s.each(func(l *link) { l.advance(ctx, s, counted) })
	if s.needsMark() {
		s.writeMark(ctx)
	}
	v, there := s.view(counted)
	if ctx.Err() != nil {
		return seldom
	}
	s.judge(v)
	if !s.cluster.onTrial(s.generation) {
		s.tell(v)
	}
	if v.known {
		s.keep(there)
	}
	s.complain(v)
	return s.pace(v)
}

// aim turns to a newer revision, when the one before has arrived or takes long, and at once to what is put back.
func (s *survey) aim() {
	next, is := s.cluster.target(s.outdated)
	if !is {
		return
	}
	s.target = next
	s.wanted, s.began, s.judged, s.restless = s.cluster.ownVersions(), s.now(), false, soon
	for _, l := range s.links {
		l.begin()
	}
}

// outdated is whether something else should be followed.
func (s *survey) outdated(next target, wait bool) bool {
	switch {
	case next.generation != s.generation:
		return !wait
	case next.revision == s.revision:
		return false
	}
	return s.revision == 0 || s.judged || !s.accused() && s.now().Sub(s.began) > overtaking
}

// accused is whether a proxy seems to refuse something.
func (s *survey) accused() bool {
	for _, l := range s.links {
		if len(l.refusing) > 0 {
			return true
		}
	}
	return false
}

func (s *survey) now() time.Time { return s.cluster.config.Now() }

// judge says what became of the revision, once: all proxies took it, or one refuses it.
func (s *survey) judge(v view) {
	if s.judged || !v.known {
		return
	}
	refusal, open := s.evidence()
	if refusal == nil && open {
		return
	}
	s.judged = true
	s.cluster.verdict(s.generation, s.changes, refusal)
}

// evidence is what a proxy refuses, or whether some have not answered yet.
func (s *survey) evidence() (refusal *accusation, open bool) {
	now := s.now()
	for _, l := range s.links {
		for id, p := range l.proxies {
			name := s.cluster.inventory.proxyName(p.Namespace, p.Name)
			if l.refuses(id, now) && (refusal == nil || name < refusal.proxy) {
				refusal = &accusation{name, p.Refusal}
			}
			open = open || !l.current[id] && s.awaits(name, now)
		}
	}
	return refusal, open
}

// longest is how long an answer is waited for before others are believed without it.
const longest = 10 * forbearance

// awaits is whether the answer of a proxy matters: of one that did not answer to what was before, it does not for long.
func (s *survey) awaits(name string, now time.Time) bool {
	patience := longest
	if since := s.unseen[name]; !since.IsZero() && since.Before(s.began) {
		patience = forbearance
	}
	return now.Sub(s.began) < patience
}

// end closes everything.
func (s *survey) end() {
	for _, l := range s.links {
		l.drop()
	}
	for _, place := range []string{placeProxies, placeRefusals, placeIstiods} {
		s.cluster.config.Events.Condition(place, nil)
	}
	s.cluster.noteMark(nil)
}

// each does something with all links at once.
func (s *survey) each(do func(*link)) {
	var working sync.WaitGroup
	for _, l := range s.links {
		working.Go(func() { do(l) })
	}
	working.Wait()
}

// needsMark is whether somebody waits for a push after the newest mark's.
func (s *survey) needsMark() bool {
	for _, l := range s.links {
		if l.stream == nil {
			continue
		}
		if l.stored && l.passage == nil && l.needs > s.mark {
			return true
		}
		if seen, push := l.seen(s.writer); l.passage != nil && seen == s.mark && l.passage.Needs(push) {
			return true
		}
	}
	return false
}

// view says who has what, by the names that the hub knows.
func (s *survey) view(counted func(namespace, name string) bool) (view, map[string]bool) {
	v, there := view{revision: s.revision, known: s.reached(), refused: map[string]string{}}, map[string]bool{}
	for _, l := range s.links {
		v.known = v.known && (l.passage != nil || l.stream == nil)
		for id, p := range l.proxies {
			name := s.cluster.inventory.proxyName(p.Namespace, p.Name)
			if l.current[id] {
				v.current = append(v.current, name)
			} else {
				v.behind = append(v.behind, name)
			}
			there[name] = true
			if p.Refusal != "" {
				v.refused[name] = p.Refusal
			}
		}
	}
	for _, name := range s.cluster.expected(counted) {
		if !there[name] {
			v.behind = append(v.behind, name)
			there[name] = true
		}
	}
	behind := sets.New(v.behind...)
	v.current = slices.DeleteFunc(v.current, behind.Has)
	return v, there
}

// pace is how soon it is worth to look again.
func (s *survey) pace(v view) time.Duration {
	switch {
	case s.cluster.newestApplied() != s.revision || s.cluster.onTrial(s.generation):
		s.restless = soon
	case !v.known || len(v.behind) > 0:
		s.restless = min(s.restless*5/4+time.Millisecond, late)
	default:
		s.restless = seldom
	}
	return s.restless
}

// marked is closed when a mark arrives somewhere.
func (s *survey) marked() <-chan struct{} {
	for _, l := range s.links {
		if l.stream == nil {
			continue
		}
		if mark, _, changed := l.stream.Marked(); l.passage == nil && (mark.Writer != s.writer || mark.Number < s.mark) {
			return changed
		}
	}
	return nil
}

package kube

import (
	"context"
	"maps"
	"time"

	"github.com/isthmus-mesh/isthmus/edge/kube/istiod"
)

// link is what is known of one istiod, and what of the survey's revision.
type link struct {
	address string
	ready   bool           // its pod is
	stream  *istiod.Stream // nil while it does not answer
	err     error          // why it does not, or will be asked anew
	since   time.Time      // it is known, or silent
	dialled time.Time

	// stored is whether it has the revision in store, needs the first mark that was written after that.
	stored bool
	needs  uint64
	// passage is nil until that mark arrived.
	passage *istiod.Passage
	// proxies are those that count, and current those of them that have the revision.
	proxies map[string]istiod.Proxy
	current map[string]bool
}

// begin forgets what is known of a revision.
func (l *link) begin() { l.stored, l.passage, l.current = false, nil, nil }

// drop ends the conversation, and with it what was concluded.
func (l *link) drop() {
	if l.stream != nil {
		l.stream.Close()
	}
	l.stream, l.proxies = nil, nil
	l.begin()
}

// settled is whether its proxies have all or refuse something.
func (l *link) settled() bool {
	if l.stream == nil {
		return !l.ready
	}
	for id, p := range l.proxies {
		if !l.current[id] && p.Refusal == "" {
			return false
		}
	}
	return l.passage != nil
}

// advance goes one step with an istiod: to its store, with a mark to a push, and with that to its proxies.
func (l *link) advance(ctx context.Context, s *survey, counted func(namespace, name string) bool) {
	if l.stream == nil {
		return
	}
	if l.err = l.store(ctx, s); l.err != nil || !l.stored {
		return
	}
	if seen, _ := l.seen(s.writer); l.passage == nil && seen < l.needs {
		return
	}
	if l.err = l.connected(ctx, counted); l.err != nil {
		return
	}
	if l.passage == nil {
		_, push := l.seen(s.writer)
		l.passage = istiod.NewPassage(push, l.proxies)
	}
	l.passage.Keep(l.proxies)
	l.compare()
	l.err = l.follow(ctx)
}

// store looks whether the istiod has everything.
func (l *link) store(ctx context.Context, s *survey) error {
	if l.stored {
		return nil
	}
	objects, err := l.stream.Objects(ctx)
	if err != nil {
		return err
	}
	if s.cluster.hasAll(objects, s.wanted) {
		l.stored, l.needs = true, s.mark+1
	}
	return nil
}

// seen is the newest mark of ours that arrived, and its push.
func (l *link) seen(writer string) (uint64, istiod.Push) {
	mark, push, _ := l.stream.Marked()
	if mark.Writer != writer {
		return 0, 0
	}
	return mark.Number, push
}

// connected asks for the proxies that count.
func (l *link) connected(ctx context.Context, counted func(namespace, name string) bool) error {
	all, err := l.stream.Proxies(ctx)
	if err != nil {
		return err
	}
	maps.DeleteFunc(all, func(_ string, p istiod.Proxy) bool { return !counted(p.Namespace, p.Name) })
	l.proxies = all
	return nil
}

// compare finds who has the revision: what was sent before they were asked is acknowledged.
func (l *link) compare() {
	l.current = map[string]bool{}
	for id, p := range l.proxies {
		if p.Current && l.passage.Sent(id) {
			l.current[id] = true
		}
	}
}

// follow asks how far the others are.
func (l *link) follow(ctx context.Context) error {
	for id, p := range l.proxies {
		if l.passage.Sent(id) {
			continue
		}
		at, err := l.stream.At(ctx, p)
		if err != nil {
			return err
		}
		l.passage.Saw(id, at)
	}
	return nil
}

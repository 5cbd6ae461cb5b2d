package kube

import (
	"context"
	"maps"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/isthmus-mesh/isthmus/edge/kube/istiod"
)

// link is what is known of one istiod, and what of the survey's revision.
type link struct {
	address  string
	ready    bool           // its pod is
	stream   *istiod.Stream // nil while it does not answer
	err      error          // why it does not, or will be asked anew
	since    time.Time      // it is known, or silent
	answered bool           // it has answered since it was reached
	dialled  time.Time

	// stored is whether it has the revision in store, needs the first mark that was written after that.
	stored bool
	needs  uint64
	// passage is nil until that mark arrived.
	passage *istiod.Passage
	// proxies are those that count, and current those of them that have the revision.
	proxies map[string]istiod.Proxy
	current map[string]bool
	// refusing are those that refuse something, since when.
	refusing map[string]refusing
}

// refusing is a refusal that stands as long as nothing else is sent or said.
type refusing struct {
	sent, words string
	since       time.Time
}

// steady is how long a refusal must stand until it is believed: what was sent last may not be answered yet.
const steady = 500 * time.Millisecond

// begin forgets what is known of a revision.
func (l *link) begin() { l.stored, l.passage, l.current, l.refusing = false, nil, nil, nil }

// refuses is whether a proxy refuses what was sent to it of the revision.
func (l *link) refuses(id string, now time.Time) bool {
	r, refuses := l.refusing[id]
	return refuses && now.Sub(r.since) >= steady
}

// drop ends the conversation, and with it what was concluded.
func (l *link) drop() {
	if l.stream != nil {
		l.stream.Close()
	}
	l.stream, l.proxies = nil, nil
	l.begin()
}

// advance goes one step with an istiod: to its store, with a mark to a push, and with that to its proxies.
func (l *link) advance(ctx context.Context, s *survey, counted func(namespace, name string) bool) {
	if l.stream == nil {
		return
	}
	l.err = l.store(ctx, s)
	l.answered = l.answered || l.err == nil
	if l.err != nil || !l.stored {
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
	l.compare(s.now())
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

// compare finds who has the revision and who refuses it: what was sent before they were asked is answered.
func (l *link) compare(now time.Time) {
	l.current = map[string]bool{}
	before := l.refusing
	l.refusing = map[string]refusing{}
	for id, p := range l.proxies {
		switch {
		case !l.passage.Sent(id):
		case p.Current:
			l.current[id] = true
		case p.Refusal != "":
			r := refusing{p.Sent, p.Refusal, now}
			if old := before[id]; old.sent == r.sent && old.words == r.words {
				r.since = old.since
			}
			l.refusing[id] = r
		}
	}
}

// questions is how many are asked at once: an istiod that is far away answers them together.
const questions = 64

// follow asks how far the others are.
func (l *link) follow(ctx context.Context) error {
	var behind []string
	for id := range l.proxies {
		if !l.passage.Sent(id) {
			behind = append(behind, id)
		}
	}
	pushes := make([]istiod.Push, len(behind))
	asking, ctx := errgroup.WithContext(ctx) // one that does not answer is not waited for by all
	asking.SetLimit(questions)
	for i, id := range behind {
		asking.Go(func() (err error) {
			pushes[i], err = l.stream.At(ctx, l.proxies[id])
			return err
		})
	}
	if err := asking.Wait(); err != nil {
		return err
	}
	for i, id := range behind {
		l.passage.Saw(id, pushes[i])
	}
	return nil
}

package pilot

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// queue hands values from many goroutines to one, in order, and never makes the giver wait.
type queue[T any] struct {
	mu     sync.Mutex // guards values
	values []T
	wake   chan struct{}
}

func newQueue[T any]() *queue[T] { return &queue[T]{wake: make(chan struct{}, 1)} }

func (q *queue[T]) add(v T) {
	q.mu.Lock()
	q.values = append(q.values, v)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns everything given since the last call; it waits for something. Nil means the context ended.
func (q *queue[T]) take(ctx context.Context) []T {
	for {
		q.mu.Lock()
		values := q.values
		q.values = nil
		q.mu.Unlock()
		if len(values) > 0 {
			return values
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// event is one call of [Events]: exactly one of its meanings is set.
type event struct {
	receipt  string // proxy, with revision
	revision int64
	gone     string
	rejected *feedpb.Rejection
}

// outbox delivers events, and joins receipts that wait together.
type outbox struct{ *queue[event] }

func newOutbox() *outbox { return &outbox{newQueue[event]()} }

func (o *outbox) run(ctx context.Context, to Events) {
	for {
		events := o.take(ctx)
		if events == nil {
			return
		}
		deliver(events, to)
	}
}

// deliver keeps the order, except that a run of receipts becomes one call per revision: of each proxy its last one, for
// a proxy is often further than another that was behind it when the run began.
func deliver(events []event, to Events) {
	last := map[string]int64{}
	flush := func() {
		tell(last, to)
		clear(last)
	}
	for _, e := range events {
		if e.receipt != "" {
			last[e.receipt] = e.revision
			continue
		}
		flush()
		if e.gone != "" {
			to.Gone(e.gone)
		} else {
			to.Rejected(e.rejected)
		}
	}
	flush()
}

// tell tells which revisions proxies have acknowledged.
func tell(revisions map[string]int64, to Events) {
	proxies := map[int64][]string{}
	for proxy, revision := range revisions {
		proxies[revision] = append(proxies[revision], proxy)
	}
	for _, revision := range slices.Sorted(maps.Keys(proxies)) {
		to.Receipt(revision, slices.Sorted(slices.Values(proxies[revision])))
	}
}

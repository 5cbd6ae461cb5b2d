package pilot

import (
	"context"
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

// deliver keeps the order, except that a run of receipts becomes one call per revision.
func deliver(events []event, to Events) {
	receipts := map[int64][]string{}
	var revisions []int64
	flush := func() {
		for _, r := range revisions {
			to.Receipt(r, receipts[r])
		}
		clear(receipts)
		revisions = nil
	}
	for _, e := range events {
		if e.receipt != "" {
			if receipts[e.revision] == nil {
				revisions = append(revisions, e.revision)
			}
			receipts[e.revision] = append(receipts[e.revision], e.receipt)
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

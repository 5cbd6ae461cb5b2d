package apiserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/runtime"
)

// Change is one object of intent written or deleted.
type Change struct {
	// Kind is the kind's Go name, for instance "HTTPRoute"; unique over the groups in the stream.
	Kind string
	// Namespace is empty for kinds of cluster scope.
	Namespace, Name string
	// Revision is etcd's at which the object was written or deleted; of a written object it is also
	// the resourceVersion.
	Revision int64
	// Time is when the hub read the change.
	Time time.Time
	// Object is a pointer to the kind's Go type, with apiVersion, kind and resourceVersion set. Nil
	// means deleted. It is the receiver's: nobody else holds it.
	Object runtime.Object
	// Err says why what is stored could not be read; Object is nil and the last version that
	// could be read stands.
	Err error
}

// Batch is all that happened up to a revision since the batch before.
type Batch struct {
	// Revision is etcd's: the receiver now knows everything up to it.
	Revision int64
	// Reset says that the batch is the whole state: what is not in it does not exist.
	Reset bool
	// Changes in the order they were written; in a batch with Reset ordered by key.
	Changes []Change
}

// Stream calls f with the whole state and then with every batch of changes, in order, one call at a
// time, until ctx ends or f fails, and returns the reason. The kinds are Isthmus' own, those of the
// Gateway API, and Namespace, Secret and ConfigMap. If a compaction overtakes it, or it falls behind
// for other reasons, it starts over with a batch with Reset. A revision is never split between
// batches.
//
// It reads etcd itself, so that all kinds come in one order; nothing is read through the API.
func (s *Server) Stream(ctx context.Context, f func(Batch) error) error {
	return s.newStream(f).run(ctx)
}

func (s *Server) newStream(f func(Batch) error) *stream {
	return &stream{client: s.etcd.client, decoder: decoder{s.transformers}, now: s.config.Now, log: s.log, deliver: f, pageSize: 500}
}

// stream is one run of Stream.
type stream struct {
	client   *clientv3.Client
	decoder  decoder
	now      func() time.Time
	log      *slog.Logger
	deliver  func(Batch) error
	pageSize int64

	next int64 // first revision not delivered; 0: nothing was
}

// refused is an error of the receiver: it ends the stream, all others are met by trying again.
type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

func (s *stream) run(ctx context.Context) error {
	const pause = 100 * time.Millisecond
	for ctx.Err() == nil {
		err := s.step(ctx)
		var no refused
		switch {
		case errors.As(err, &no):
			return no.error
		case errors.Is(err, rpctypes.ErrCompacted):
			s.next = 0
		case err != nil && ctx.Err() == nil:
			s.log.Warn("reading intent from storage: trying again", "err", err)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
		}
	}
	return ctx.Err()
}

// step loads what is there or follows from where the stream is.
func (s *stream) step(ctx context.Context) error {
	if s.next == 0 {
		return s.load(ctx)
	}
	return s.follow(ctx)
}

// load reads everything, page by page, at the revision of the first page.
func (s *stream) load(ctx context.Context) error {
	batch := Batch{Reset: true}
	key, end := Prefix+"/", clientv3.GetPrefixRangeEnd(Prefix+"/")
	for more := true; more; {
		page, err := s.client.Get(ctx, key, clientv3.WithRange(end), clientv3.WithLimit(s.pageSize), clientv3.WithRev(batch.Revision))
		if err != nil {
			return err
		}
		if batch.Revision == 0 {
			batch.Revision = page.Header.Revision
		}
		for _, kv := range page.Kvs {
			batch.Changes = s.append(ctx, batch.Changes, kv, false)
			key = string(kv.Key) + "\x00"
		}
		more = page.More
	}
	return s.hand(batch)
}

// follow watches until the watch ends.
func (s *stream) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for response := range s.client.Watch(ctx, Prefix+"/", clientv3.WithPrefix(), clientv3.WithRev(s.next)) {
		if err := response.Err(); err != nil { // after a compaction ErrCompacted
			return err
		}
		if err := s.take(ctx, response.Events); err != nil {
			return err
		}
	}
	return errors.New("the watch ended")
}

// take hands on one response. etcd fills a response with whole revisions (without WithFragment), and
// the revision in its header may be ahead of the events, so the last event's counts.
func (s *stream) take(ctx context.Context, events []*clientv3.Event) error {
	if len(events) == 0 {
		return nil
	}
	var batch Batch
	for _, event := range events {
		batch.Changes = s.append(ctx, batch.Changes, event.Kv, event.Type == clientv3.EventTypeDelete)
		batch.Revision = event.Kv.ModRevision
	}
	if len(batch.Changes) == 0 { // leases, events and the like
		s.next = batch.Revision + 1
		return nil
	}
	return s.hand(batch)
}

func (s *stream) hand(batch Batch) error {
	if err := s.deliver(batch); err != nil {
		return refused{err}
	}
	s.next = batch.Revision + 1
	return nil
}

// append adds the change that a key and its value are, if it is of a kind of the stream.
func (s *stream) append(ctx context.Context, changes []Change, kv *mvccpb.KeyValue, deleted bool) []Change {
	key := string(kv.Key)
	p, ok := locate(key)
	if !ok {
		return changes
	}
	change := Change{Kind: p.kind.name, Namespace: p.namespace, Name: p.name, Revision: kv.ModRevision, Time: s.now()}
	if !deleted {
		if change.Object, change.Err = s.decoder.decode(ctx, p, key, kv.Value, kv.ModRevision); change.Err != nil {
			change.Err = fmt.Errorf("%s %s/%s cannot be read: %w", p.kind.name, p.namespace, p.name, change.Err)
			s.log.Error("a stored object cannot be read; its last version stands", "key", key, "err", change.Err)
		}
	}
	return append(changes, change)
}

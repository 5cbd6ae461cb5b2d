package apiserver

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// fieldManager is the hub in the managedFields of what it writes.
const fieldManager = "isthmus-hub"

// Waits after a failure, doubled each time up to the longest.
const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// loop brings one object after the other to the state it should have. Informers tell which names to look
// at; one that failed is looked at again, later each time. One name is never worked on twice at once.
type loop struct {
	log       *slog.Logger
	reconcile func(ctx context.Context, name string) error
	queue     workqueue.TypedRateLimitingInterface[string]
}

func newLoop(name string, log *slog.Logger, reconcile func(ctx context.Context, name string) error) *loop {
	return &loop{
		log: log.With("loop", name), reconcile: reconcile,
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstRetry, lastRetry)),
	}
}

// run feeds the loop from informers, which it starts, and works until ctx ends.
func (l *loop) run(ctx context.Context, informers ...cache.SharedIndexInformer) error {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer l.queue.ShutDown()
	var synced []cache.InformerSynced
	for _, informer := range informers {
		registration, err := informer.AddEventHandler(l.handler())
		if err != nil {
			return err
		}
		synced = append(synced, registration.HasSynced)
		tasks.Go(func() { informer.RunWithContext(ctx) })
	}
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		return nil
	}
	tasks.Go(func() { l.work(ctx) })
	<-ctx.Done()
	return nil
}

func (l *loop) handler() cache.ResourceEventHandler {
	add := func(object any) {
		if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil { // fails for things without metadata
			l.queue.Add(key)
		}
	}
	return cache.ResourceEventHandlerFuncs{AddFunc: add, UpdateFunc: func(_, object any) { add(object) }, DeleteFunc: add}
}

func (l *loop) work(ctx context.Context) {
	for {
		name, stop := l.queue.Get()
		if stop {
			return
		}
		if err := l.reconcile(ctx, name); err == nil {
			l.queue.Forget(name)
		} else if ctx.Err() == nil {
			l.log.Debug("not yet", "name", name, "err", err)
			l.queue.AddRateLimited(name)
		}
		l.queue.Done(name)
	}
}

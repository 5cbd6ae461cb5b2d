package hub

import (
	"context"
	"log/slog"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/isthmus-mesh/isthmus/hub/inventory"
)

// writers bring the statuses in storage to what the ledger says.
type writers struct {
	ledger  *ledger
	patch   func(ctx context.Context, kind, namespace, name string, uid types.UID, status any) error
	limit   *rate.Limiter
	metrics *metrics
	log     *slog.Logger
}

// writersAtOnce is how many statuses are written at a time.
const writersAtOnce = 4

// run works until ctx ends.
func (w *writers) run(ctx context.Context) error {
	var group errgroup.Group
	for range writersAtOnce {
		group.Go(func() error { return w.work(ctx) })
	}
	<-ctx.Done()
	w.ledger.queue.ShutDown()
	return group.Wait()
}

func (w *writers) work(ctx context.Context) error {
	for {
		key, ended := w.ledger.queue.Get()
		if ended {
			return nil
		}
		w.write(ctx, key)
		w.ledger.queue.Done(key)
	}
}

// write writes one status if its storage says something else.
func (w *writers) write(ctx context.Context, key inventory.Object) {
	v, needed := w.ledger.verdict(key)
	if v.again > 0 {
		w.ledger.queue.AddAfter(key, v.again)
	}
	if !needed || w.limit.Wait(ctx) != nil {
		return
	}
	if v, needed = w.ledger.verdict(key); !needed { // it may have been a while
		return
	}
	err := w.patch(ctx, key.Kind, key.Namespace, key.Name, v.uid, v.patch)
	switch {
	case err == nil:
		w.ledger.wrote(key, v)
		w.ledger.queue.Forget(key)
		w.metrics.statuses.WithLabelValues("written").Inc()
	case apierrors.IsNotFound(err) || apierrors.IsConflict(err):
		// The object is gone, or another one has its name: the stream tells.
		w.metrics.statuses.WithLabelValues("overtaken").Inc()
	case ctx.Err() == nil:
		w.log.Warn("hub: a status cannot be written; trying again", "kind", key.Kind, "namespace", key.Namespace, "name", key.Name, "err", err)
		w.metrics.statuses.WithLabelValues("failed").Inc()
		w.ledger.queue.AddRateLimited(key)
	}
}

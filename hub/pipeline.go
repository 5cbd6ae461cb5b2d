package hub

import (
	"context"
	"log/slog"
	"time"

	"github.com/isthmus-mesh/isthmus/compiler"
	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/hub/apiserver"
	"github.com/isthmus-mesh/isthmus/hub/inventory"
)

// pipeline turns what was written and what was discovered into what the edges get. It belongs to
// the goroutine of run, except add.
type pipeline struct {
	compiler  *compiler.Compiler
	intake    *intake
	inventory *inventory.Inventory
	feed      *feed.Server
	ledger    *ledger
	metrics   *metrics
	now       func() time.Time
	log       *slog.Logger

	batches  chan apiserver.Batch
	revision int64         // newest published
	zones    revisions     // newest published, by zone
	primed   chan struct{} // closed when the first state is published
}

// revisions are revisions by zone.
type revisions map[string]int64

// add hands over what was written; it waits while the pipeline is more than a few batches behind.
func (p *pipeline) add(ctx context.Context) func(apiserver.Batch) error {
	return func(batch apiserver.Batch) error {
		select {
		case p.batches <- batch:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// run works until ctx ends. Nothing is compiled before all of the intent is known.
func (p *pipeline) run(ctx context.Context) error {
	changed := (<-chan struct{})(nil)
	for {
		var n news
		select {
		case <-ctx.Done():
			return nil
		case batch := <-p.batches:
			p.intake.take(&n, batch)
			p.drain(&n)
		case <-changed:
		}
		p.round(n)
		if changed == nil {
			changed = p.inventory.Changed()
			close(p.primed)
		}
	}
}

// drain takes what else waits, so that many writes become one revision.
func (p *pipeline) drain(n *news) {
	for {
		select {
		case batch := <-p.batches:
			p.intake.take(n, batch)
		default:
			return
		}
	}
}

// round compiles and publishes once.
func (p *pipeline) round(n news) {
	start := p.now()
	shapes := p.inventory.Take()
	if len(shapes)+len(n.intent) == 0 {
		p.ledger.update(n.written, nil, nil)
		return
	}
	p.revision = max(n.revision, p.revision+1)
	if len(shapes) > 0 || p.revision != n.revision {
		if err := p.inventory.Save(p.revision); err != nil {
			p.log.Error("hub: discovered services cannot be saved; a restart of the hub would forget the newest", "err", err)
		}
	}
	out := p.compiler.Apply(p.revision, append(n.intent, shapes...))
	p.metrics.compiled(p.now().Sub(start))
	p.forget(n, out)
	p.publish(out, n)
	p.ledger.update(n.written, out, p.zones)
}

func (p *pipeline) publish(out *compiler.Output, n news) {
	committed := n.oldest
	if committed.IsZero() {
		committed = p.now()
	}
	for zone, delta := range out.Zones {
		if err := p.feed.Publish(zone, p.revision, committed, delta.Upserts, delta.Removed); err != nil {
			p.log.Error("hub: not everything can be published", "zone", zone, "revision", p.revision, "err", err)
		}
		p.zones[zone] = p.revision
		p.inventory.Published(zone, p.revision)
	}
	if !n.oldest.IsZero() {
		p.metrics.published(p.now().Sub(committed))
	}
	p.log.Debug("hub: published", "revision", p.revision, "changes", len(n.intent), "zones", len(out.Zones), "statuses", len(out.Statuses))
}

// forget drops the zones that were deleted, and not made anew at once, also from what is to be
// published: their edges keep what they have. The inventory forgets first, so that an edge that comes
// back at once is remembered.
func (p *pipeline) forget(n news, out *compiler.Output) {
	gone := map[string]bool{}
	for _, change := range n.intent {
		if change.Kind == kindZone {
			gone[change.Name] = change.Object == nil
		}
	}
	for zone, gone := range gone {
		if gone {
			delete(p.zones, zone)
			delete(out.Zones, zone)
			p.inventory.Forget(zone)
			p.feed.Forget(zone)
		}
	}
}

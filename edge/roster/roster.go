package roster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isthmus-mesh/isthmus/edge/admission"
	"github.com/isthmus-mesh/isthmus/edge/journal"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// Config is what a [Roster] needs; all fields but Probe and Metrics are required.
type Config struct {
	Zone admission.Zone
	// Journal is where the table is kept.
	Journal *journal.Journal
	// Publish takes changes to the proxies. Calls never overlap.
	Publish func(upserts []*Workload, gone []string)
	// NodeID is the node identifier that a workload's Envoy must use.
	NodeID func(*Workload) string
	// Settle returns when the proxies of all edges have acknowledged everything published before, or ctx ends.
	Settle func(ctx context.Context) error
	// Report tells the hub; see [feed.Client.Report].
	Report func(*feedpb.ReportRequest)
	// Saved is told how each attempt to write the table went.
	Saved func(error)
	// Edges are the addresses of the zone's edges.
	Edges func() []string
	// Federated are other trust domains whose identities the zone's proxies accept.
	Federated func() []*machinepb.TrustDomain
	// Lease is how long a workload without an agent is believed in when nothing can be found out of it, and how often it
	// is probed; Forget is how long its proxy may be unreachable until it is forgotten.
	Lease, Forget time.Duration
	// Probe returns nil when something answers at "address:port", and an error that is [syscall.ECONNREFUSED] when only
	// its machine does; nil means [Dial].
	Probe    func(ctx context.Context, address string) error
	Now      func() time.Time
	Refusals *admission.Refusals
	Log      *slog.Logger
	Metrics  prometheus.Registerer
}

// Roster is the table, and the Attend of [machinepb.MachineServer].
type Roster struct {
	config Config

	mu        sync.Mutex
	rows      map[string]*entry
	instances map[string]string // workloads by instance
	changed   map[string]struct{}
	taken     chan struct{} // closed when what was taken last is published
	next      chan struct{} // the same for what is in changed
	unsaved   map[string]struct{}
	followers map[*Follower]struct{}
	announced chan struct{} // closed when agents should hear of the zone's edges anew

	// wake is for who publishes, save for who saves, missed for who looks after absent workloads.
	wake, save, missed chan struct{}
	alone              bool // whether nobody answered last; belongs to who looks after absent workloads
}

// New makes a roster of what is on disk. It always returns one; the error, a joined
// [journal.ErrCorrupt], says which workloads could not be read: they are back as soon as their agents connect.
func New(config Config) (*Roster, error) {
	if config.Probe == nil {
		config.Probe = Dial
	}
	r := &Roster{
		config: config, rows: map[string]*entry{}, instances: map[string]string{},
		changed: map[string]struct{}{}, taken: make(chan struct{}), next: make(chan struct{}), unsaved: map[string]struct{}{},
		followers: map[*Follower]struct{}{}, announced: make(chan struct{}),
		wake: make(chan struct{}, 1), save: make(chan struct{}, 1), missed: make(chan struct{}, 1),
	}
	close(r.taken)
	errs := r.restore(config.Journal.All())
	if config.Metrics != nil {
		config.Metrics.MustRegister(r.gauges()...)
	}
	if len(errs) > 0 {
		return r, fmt.Errorf("%w: %w", journal.ErrCorrupt, errors.Join(errs...))
	}
	return r, nil
}

// Run carries changes and looks after absent workloads until ctx ends.
func (r *Roster) Run(ctx context.Context) error {
	var done sync.WaitGroup
	done.Go(func() { r.publishLoop(ctx) })
	done.Go(func() { r.saveLoop(ctx) })
	done.Go(func() { r.leaseLoop(ctx) })
	done.Wait()
	return nil
}

// touch notes that a row changed; the caller holds the lock.
func (r *Roster) touch(name string) {
	r.changed[name] = struct{}{}
	signal(r.wake)
	for f := range r.followers {
		f.dirty[name] = struct{}{}
		signal(f.wake)
	}
}

// Flushed returns a channel that is closed when everything changed so far is published.
func (r *Roster) Flushed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.changed) > 0 {
		return r.next
	}
	return r.taken
}

func (r *Roster) publishLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
			r.publish()
		}
	}
}

// publish takes what changed to the proxies, then to the hub and to the one who saves.
func (r *Roster) publish() {
	upserts, gone, news, done := r.take()
	if len(upserts)+len(gone) > 0 {
		r.config.Publish(upserts, gone)
	}
	close(done)
	r.config.Report(news)
	signal(r.save)
}

// take empties the list of changes. news are all of them; upserts only those that matter to proxies.
func (r *Roster) take() (upserts []*Workload, gone []string, news *feedpb.ReportRequest, done chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	news = &feedpb.ReportRequest{}
	for name := range r.changed {
		r.unsaved[name] = struct{}{}
		e := r.rows[name]
		if e == nil {
			gone, news.WorkloadsGone = append(gone, name), append(news.WorkloadsGone, name)
			continue
		}
		news.Workloads = append(news.Workloads, e.workload.report())
		if e.published == nil || !e.workload.serves(e.published) {
			e.published = e.workload
			upserts = append(upserts, e.workload)
		}
	}
	clear(r.changed)
	r.taken, r.next = r.next, make(chan struct{})
	return upserts, gone, news, r.taken
}

func (r *Roster) saveLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			r.saveChanged() // what came last
			return
		case <-r.save:
			r.saveChanged()
		}
	}
}

func (r *Roster) saveChanged() {
	r.mu.Lock()
	batch, errs := make(map[string][]byte, len(r.unsaved)), []error(nil)
	for name := range r.unsaved {
		batch[name] = nil
		if e := r.rows[name]; e != nil && !e.leaving {
			raw, err := e.encode()
			errs = append(errs, err)
			batch[name] = raw
		}
	}
	clear(r.unsaved)
	r.mu.Unlock()
	if len(batch) > 0 {
		r.config.Saved(errors.Join(append(errs, r.config.Journal.Write(batch))...))
	}
}

// Inventory is every workload, for the hub.
func (r *Roster) Inventory() []*feedpb.Workload {
	var all []*feedpb.Workload
	for _, w := range r.All() {
		all = append(all, w.report())
	}
	return all
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

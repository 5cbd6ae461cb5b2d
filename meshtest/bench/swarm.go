package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"golang.org/x/sync/errgroup"

	"github.com/isthmus-mesh/isthmus/meshtest/swarm"
)

// order is one line to the swarm process; answer is one line back.
type order struct {
	// Join these tokens, then follow.
	Join []member `json:"join,omitempty"`
	// Expect waits until every proxy has received a resource of a type that contains the marker.
	Expect string `json:"expect,omitempty"`
	Type   string `json:"type,omitempty"`
	// Health of the first proxy.
	Health *bool `json:"health,omitempty"`
	// Settle waits until every proxy follows again.
	Settle bool `json:"settle,omitempty"`
}

type member struct {
	Token   string `json:"token"`
	Address string `json:"address"`
	Edge    string `json:"edge"`
	Port    uint32 `json:"port"`
}

type answer struct {
	// Last is when the last proxy had it, Unix nanoseconds; First is the first of them.
	Last      int64  `json:"last"`
	First     int64  `json:"first"`
	Responses int64  `json:"responses"`
	Resources int64  `json:"resources"`
	Bytes     int64  `json:"bytes"`
	Types     string `json:"types,omitempty"`
	Error     string `json:"error,omitempty"`
}

// flock is the swarm process: all proxies and what they have seen since the last order.
type flock struct {
	ctx      context.Context
	proxies  []*swarm.Proxy
	counters swarm.Counters
	group    *errgroup.Group

	mu      sync.Mutex
	watch   watch
	settled map[*swarm.Proxy]bool
	types   map[string]int
}

// watch is what an order waits for.
type watch struct {
	marker []byte
	kind   string
	left   map[*swarm.Proxy]bool
	first  time.Time
	last   time.Time
	done   chan struct{}
}

func newFlock(ctx context.Context, group *errgroup.Group) *flock {
	return &flock{ctx: ctx, group: group, settled: map[*swarm.Proxy]bool{}, types: map[string]int{}}
}

func serveSwarm(ctx context.Context, in io.Reader, out io.Writer) error {
	group, ctx := errgroup.WithContext(ctx)
	f := newFlock(ctx, group)
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o order
		if err := orders.Decode(&o); err != nil {
			return nil // the orchestrator is gone
		}
		a, err := f.obey(o)
		if err != nil {
			a.Error = err.Error()
		}
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
}

func (f *flock) obey(o order) (answer, error) {
	switch {
	case len(o.Join) > 0:
		return f.join(o.Join)
	case o.Expect != "":
		return f.expect(o)
	case o.Settle:
		return f.settle()
	}
	return answer{}, fmt.Errorf("empty order")
}

// join lets newcomers in, a few at a time, and waits until each has listeners.
func (f *flock) join(members []member) (answer, error) {
	before := len(f.proxies)
	fresh := make([]*swarm.Proxy, len(members))
	group, ctx := errgroup.WithContext(f.ctx)
	group.SetLimit(16)
	for i, m := range members {
		group.Go(func() error {
			p, err := swarm.Join(ctx, m.Token, m.Address)
			if err != nil {
				return fmt.Errorf("proxy %d: %w", before+i, err)
			}
			fresh[i] = p
			return p.Attend(f.ctx, m.Edge, m.Port)
		})
	}
	if err := group.Wait(); err != nil {
		return answer{}, err
	}
	f.proxies = append(f.proxies, fresh...)
	for i, p := range fresh {
		f.group.Go(func() error { f.follow(p, members[i]); return nil })
	}
	return f.settle()
}

// follow keeps a proxy connected for ever.
func (f *flock) follow(p *swarm.Proxy, m member) {
	for f.ctx.Err() == nil {
		_ = p.Follow(f.ctx, &f.counters, f.seen)
		f.mu.Lock()
		delete(f.settled, p)
		f.mu.Unlock()
		for f.ctx.Err() == nil && p.Attend(f.ctx, m.Edge, m.Port) != nil {
			_ = p.Close()
			select {
			case <-f.ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
}

func (f *flock) seen(p *swarm.Proxy, r *discovery.DeltaDiscoveryResponse) {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.types[r.TypeUrl]++
	if r.TypeUrl == swarm.Listeners || r.TypeUrl == swarm.Clusters {
		f.settled[p] = true
	}
	w := &f.watch
	if w.done == nil || !w.left[p] || r.TypeUrl != w.kind || !w.matches(r) {
		return
	}
	if delete(w.left, p); w.first.IsZero() {
		w.first = now
	}
	if w.last = now; len(w.left) == 0 {
		close(w.done)
	}
}

func (w *watch) matches(r *discovery.DeltaDiscoveryResponse) bool {
	for _, resource := range r.Resources {
		if bytes.Contains(resource.Resource.GetValue(), w.marker) {
			return true
		}
	}
	return false
}

// expect arms the watch, then tells the orchestrator by a first answer, so that nothing is missed.
func (f *flock) expect(o order) (answer, error) {
	watchers := f.proxies
	if o.Health != nil {
		watchers = f.proxies[1:]
	}
	done, before := f.arm(watchers, o.Expect, o.Type), f.count()
	var start time.Time
	if o.Health != nil {
		start = time.Now()
		if err := f.proxies[0].SetHealth(*o.Health); err != nil {
			return answer{}, err
		}
	} else {
		fmt.Println(`{"first":1}`)
	}
	a, err := f.await(done, before)
	if o.Health != nil {
		a.First = start.UnixNano()
	}
	return a, err
}

// arm begins to watch for a resource of a type that contains the marker; done is closed when all watchers have it.
func (f *flock) arm(watchers []*swarm.Proxy, marker, kind string) (done chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watch = watch{marker: []byte(marker), kind: kind, left: map[*swarm.Proxy]bool{}, done: make(chan struct{})}
	for _, p := range watchers {
		f.watch.left[p] = true
	}
	f.types = map[string]int{}
	return f.watch.done
}

// await ends the watch: when all have it, or after a minute.
func (f *flock) await(done chan struct{}, before answer) (answer, error) {
	select {
	case <-done:
	case <-time.After(time.Minute):
		f.mu.Lock()
		defer f.mu.Unlock()
		return answer{}, fmt.Errorf("%d of %d proxies did not get it within a minute", len(f.watch.left), len(f.proxies))
	}
	a := f.count().minus(before)
	f.mu.Lock()
	defer f.mu.Unlock()
	a.First, a.Last = f.watch.first.UnixNano(), f.watch.last.UnixNano()
	a.Types = fmt.Sprint(f.types)
	f.watch = watch{}
	return a, nil
}

// settle waits until every proxy follows and has been answered.
func (f *flock) settle() (answer, error) {
	before := f.count()
	deadline := time.Now().Add(3 * time.Minute)
	for time.Now().Before(deadline) {
		f.mu.Lock()
		n := len(f.settled)
		f.mu.Unlock()
		if n == len(f.proxies) {
			a := f.count().minus(before)
			a.Last = time.Now().UnixNano()
			return a, nil
		}
		select {
		case <-f.ctx.Done():
			return answer{}, f.ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return answer{}, fmt.Errorf("not all proxies settled within three minutes")
}

func (f *flock) count() answer {
	return answer{Responses: f.counters.Responses.Load(), Resources: f.counters.Resources.Load(), Bytes: f.counters.Bytes.Load()}
}

func (a answer) minus(b answer) answer {
	return answer{Responses: a.Responses - b.Responses, Resources: a.Resources - b.Resources, Bytes: a.Bytes - b.Bytes}
}

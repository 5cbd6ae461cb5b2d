package roster

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// errNoPort is the answer of a workload that registered no port: nobody can be asked.
var errNoPort = errors.New("it has no port to be asked at")

// probes is how many workloads are probed at once.
const probes = 64

// leaseLoop looks after workloads whose agents are gone.
func (r *Roster) leaseLoop(ctx context.Context) {
	tick := time.NewTicker(max(r.config.Lease/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.probeDue(ctx)
		}
	}
}

// probeDue probes every absent workload whose lease has run out, and waits for the answers.
func (r *Roster) probeDue(ctx context.Context) {
	var done sync.WaitGroup
	defer done.Wait()
	free := make(chan struct{}, probes)
	for name, address := range r.due() {
		free <- struct{}{}
		done.Go(func() {
			defer func() { <-free }()
			err := errNoPort
			if address != "" {
				err = r.config.Probe(ctx, address)
			}
			if ctx.Err() == nil {
				r.probed(name, err)
			}
		})
	}
}

// due returns the addresses to probe by workload; empty for those that have no port.
func (r *Roster) due() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	due, now := map[string]string{}, r.config.Now()
	for name, e := range r.rows {
		if e.unattended() && !now.Before(e.due) {
			due[name] = addressOf(e.workload.Registration)
		}
	}
	return due
}

// addressOf is where a workload's proxy listens.
func addressOf(w *machinepb.Workload) string {
	if len(w.Ports) == 0 {
		return ""
	}
	return net.JoinHostPort(w.Addresses[0], strconv.Itoa(int(w.Ports[0].Port)))
}

func (r *Roster) probed(name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, now := r.rows[name], r.config.Now()
	if e == nil || !e.unattended() {
		return
	}
	e.due = now.Add(r.config.Lease)
	switch {
	case err == nil:
		e.lost = time.Time{}
	case e.lost.IsZero():
		e.lost = now
		r.config.Log.Warn("workload lost: its agent is gone and its proxy cannot be reached", "workload", name, "err", err)
	case now.Sub(e.lost) > r.config.Forget:
		r.config.Log.Warn("workload forgotten", "workload", name, "lost", e.lost)
		r.remove(name)
		return
	}
	if e.refresh(e.workload.Registration) {
		r.touch(name)
	}
}

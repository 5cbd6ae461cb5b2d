package roster

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// leaseLoop looks after workloads whose agents are gone.
func (r *Roster) leaseLoop(ctx context.Context) {
	tick := time.NewTicker(max(r.config.Lease/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-r.missed:
		}
		r.look(ctx)
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

// found heeds what was found out of an absent workload; nil means that it serves.
func (r *Roster) found(name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, now := r.rows[name], r.config.Now()
	if e == nil || !e.unattended() {
		return
	}
	e.believe(now.Add(r.config.Lease))
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

// believe gives an absent workload a lease, at whose end it is probed.
func (e *entry) believe(until time.Time) { e.due, e.lease = until, until }

// spare lets a silent workload be what it was, if it may: when the edge is alone, or while there is anything left of its lease.
func (r *Roster) spare(name string, alone bool) (spared bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, now := r.rows[name], r.config.Now()
	switch {
	case e == nil || !e.unattended():
	case alone:
		e.believe(now.Add(r.config.Lease))
	case now.Before(e.lease):
		e.due = e.lease
	default:
		return false
	}
	return true
}

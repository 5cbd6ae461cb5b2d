package roster

import (
	"maps"
	"slices"
	"time"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/edge/admission"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// entry is a row of the table; it is guarded by the roster's mutex.
type entry struct {
	// workload is the row's newest state, replaced at every change.
	workload *Workload
	// published is the state that proxies have; nil means none.
	published *Workload
	// role is what the agent's certificate says, health what the agent said last.
	role   string
	health *machinepb.Health
	// session is the agent's newest stream; nil while no agent attends here.
	session *session
	// keeper is the sibling edge that answers for the workload; empty means that this one does.
	keeper string
	// since is when the agent's attendance began, here or at the keeper; zero while it attends nowhere.
	since time.Time
	// due is when a workload without an agent is probed, lease until when it needs no answer.
	due, lease time.Time
	// lost is since when its proxy cannot be reached; zero when it can.
	lost    time.Time
	leaving bool
}

// session is one Attend stream. Another of the same workload replaces it.
type session struct{ name string }

// refresh derives the workload's state from the row's facts. It reports whether anything changed.
func (e *entry) refresh(registration *machinepb.Workload) bool {
	next := *e.workload
	next.Registration, next.Role = registration, e.role
	next.Connected = e.session != nil
	next.Healthy, next.Reason = e.health.GetHealthy(), e.health.GetReason()
	switch {
	case e.leaving:
		next.Healthy, next.Reason = false, "leaving"
	case !e.lost.IsZero():
		next.Healthy, next.Reason = false, "its agent is gone and its proxy cannot be reached"
	case e.health == nil:
		next.Reason = "its agent has not said yet whether it is healthy"
	}
	old := e.workload
	e.workload = &next
	return !next.serves(old) || next.Connected != old.Connected || next.Reason != old.Reason
}

// register begins a session: a new row, or a row whose agent is back.
func (r *Roster) register(who admission.Caller, w *machinepb.Workload, health *machinepb.Health) (*session, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, err := r.row(who.Workspace, who.Service, w.Instance)
	if err != nil {
		return nil, err
	}
	e.session, e.lost, e.leaving = &session{e.workload.Name}, time.Time{}, false
	e.keeper, e.since, e.role = "", r.config.Now(), who.Role
	if health != nil {
		e.health = health
	}
	e.refresh(w)
	r.touch(e.workload.Name)
	return e.session, nil
}

// row finds a workload's row or makes one, which has no registration yet; the caller holds the lock.
func (r *Roster) row(workspace, service, instance string) (*entry, error) {
	name := nameOf(workspace, service, instance)
	if owner, ok := r.instances[instance]; ok && owner != name {
		return nil, problem.InstanceTaken.Because("instance %s belongs to workload %s", instance, owner)
	}
	if r.rows[name] == nil {
		r.rows[name] = &entry{workload: &Workload{Name: name, Workspace: workspace, Service: service}}
		r.instances[instance] = name
	}
	return r.rows[name], nil
}

// update changes the row of a session; nil means unchanged. It reports false when the session was
// replaced by a newer one.
func (r *Roster) update(s *session, w *machinepb.Workload, health *machinepb.Health, leave bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.rows[s.name]
	if e == nil || e.session != s {
		return false
	}
	if health != nil {
		e.health = health
	}
	if w == nil {
		w = e.workload.Registration
	}
	e.leaving = e.leaving || leave
	if e.refresh(w) {
		r.touch(s.name)
	}
	return true
}

// end ends a session: the row goes if the workload has left, and is looked after otherwise.
func (r *Roster) end(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.rows[s.name]
	if e == nil || e.session != s {
		return
	}
	if e.leaving {
		r.remove(s.name)
		return
	}
	e.session = nil
	r.miss(s.name, e)
}

// miss makes a workload one that nobody attends. It is probed at once: an agent that died hurts nobody, and a machine that
// vanished must be known. One without a port cannot be asked, and has its lease. The caller holds the lock.
func (r *Roster) miss(name string, e *entry) {
	now := r.config.Now()
	e.keeper, e.since = "", time.Time{}
	e.believe(now.Add(r.config.Lease))
	if len(e.workload.Registration.Ports) > 0 {
		e.due = now
		signal(r.missed)
	}
	e.refresh(e.workload.Registration)
	r.touch(name)
}

// unattended tells whether it is for this edge to look after the workload.
func (e *entry) unattended() bool { return e.session == nil && e.keeper == "" }

// remove takes a row out; the caller holds the lock.
func (r *Roster) remove(name string) {
	delete(r.instances, r.rows[name].workload.Registration.Instance)
	delete(r.rows, name)
	r.touch(name)
}

// get returns a workload, or nil.
func (r *Roster) get(name string) *Workload {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.rows[name]; e != nil {
		return e.workload
	}
	return nil
}

// All returns the workloads, sorted by name.
func (r *Roster) All() []*Workload {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*Workload, 0, len(r.rows))
	for _, name := range slices.Sorted(maps.Keys(r.rows)) {
		all = append(all, r.rows[name].workload)
	}
	return all
}

// restore fills the table from disk; every workload's lease begins now.
func (r *Roster) restore(content map[string][]byte) (errs []error) {
	now := r.config.Now()
	for name, raw := range content {
		e, err := decode(name, raw, now)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		e.believe(now.Add(r.config.Lease))
		r.rows[name], r.instances[e.workload.Registration.Instance] = e, name
		r.touch(name)
	}
	return errs
}

package roster

import (
	"time"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// Heed takes in what a sibling edge says of the workloads it answers for. Nothing is removed but what the
// sibling says is gone: a workload that it no longer mentions is looked after here, at once.
func (r *Roster) Heed(sibling string, news *machinepb.FollowResponse) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, row := range news.Workloads {
		if err := r.heedRow(sibling, row); err != nil {
			r.config.Log.Warn("a sibling edge's workload is left out", "sibling", sibling, "workload", row.Name, "err", err)
		}
	}
	for _, name := range news.Gone {
		if e := r.rows[name]; e != nil && e.keeper == sibling {
			r.remove(name)
		}
	}
	if news.Reset_ {
		r.doubt(sibling, news.Workloads)
	}
}

// Lost notes that a sibling can no longer be heard: its workloads are looked after here until their agents come.
func (r *Roster) Lost(sibling string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, e := range r.rows {
		if e.keeper == sibling {
			r.miss(name, e)
		}
	}
}

// heedRow takes in one row, or leaves the own one where that is better informed. It refuses what no edge of this
// version would say.
func (r *Roster) heedRow(sibling string, said *machinepb.Registered) error {
	if said.Workload == nil || said.Name != nameOf(said.Workspace, said.Service, said.Workload.Instance) {
		return problem.RegistrationInvalid.Because("name and instance do not belong together")
	}
	if err := validate(said.Workload); err != nil {
		return err
	}
	e, err := r.row(said.Workspace, said.Service, said.Workload.Instance)
	if err != nil || !e.yields(sibling, said) {
		return err
	}
	e.session, e.keeper, e.role, e.health, e.leaving, e.since, e.lost = nil, sibling, said.Role, said.Health, said.Leaving, time.Time{}, time.Time{}
	if said.Attended {
		e.since = said.Since.AsTime()
	}
	if said.Lost {
		e.lost = r.config.Now()
	}
	e.refresh(said.Workload)
	r.touch(said.Name)
	return nil
}

// yields tells whether a sibling knows the workload better: nobody else does, it answers for it already, or the agent attends
// there and, if it attended elsewhere too, later. An agent attends at one edge at a time; the stream it left
// may not have ended yet.
func (e *entry) yields(sibling string, row *machinepb.Registered) bool {
	if e.workload.Registration == nil || e.keeper == sibling {
		return true
	}
	return row.Attended && (e.since.IsZero() || row.Since.AsTime().After(e.since))
}

// doubt has the workloads looked after that a sibling's complete answer does not mention: one may have left
// there while the two edges could not talk.
func (r *Roster) doubt(sibling string, mentioned []*machinepb.Registered) {
	named := make(map[string]bool, len(mentioned))
	for _, row := range mentioned {
		named[row.Name] = true
	}
	for name, e := range r.rows {
		if !named[name] && (e.keeper == sibling || e.unattended()) {
			r.miss(name, e)
			e.believe(r.config.Now()) // no longer than until it is probed
		}
	}
}

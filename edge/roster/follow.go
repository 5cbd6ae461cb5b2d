package roster

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// Follower is what one sibling edge has yet to hear of the workloads that this edge answers for. Next,
// Caught and Stop belong to one goroutine.
type Follower struct {
	roster *Roster
	wake   chan struct{}
	reset  bool

	// Guarded by the roster's mutex. taken is closed when the sibling has what was taken last; next is the
	// same for what is in dirty.
	dirty       map[string]struct{}
	taken, next chan struct{}
}

// Follow begins to follow, with everything.
func (r *Roster) Follow() *Follower {
	f := &Follower{roster: r, wake: make(chan struct{}, 1), reset: true, dirty: map[string]struct{}{}, taken: make(chan struct{}), next: make(chan struct{})}
	close(f.taken)
	r.mu.Lock()
	defer r.mu.Unlock()
	for name := range r.rows {
		f.dirty[name] = struct{}{}
	}
	r.followers[f] = struct{}{}
	signal(f.wake)
	return f
}

// Stop ends it: nobody waits for this sibling any longer.
func (f *Follower) Stop() {
	f.Caught()
	f.roster.mu.Lock()
	defer f.roster.mu.Unlock()
	delete(f.roster.followers, f)
	close(f.next)
}

// Next waits for news and returns them; the first are complete.
func (f *Follower) Next(ctx context.Context) (*machinepb.FollowResponse, error) {
	select {
	case <-f.wake:
		return f.take(), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// take leaves out what another edge answers for: the sibling hears that from it.
func (f *Follower) take() *machinepb.FollowResponse {
	f.roster.mu.Lock()
	defer f.roster.mu.Unlock()
	news := &machinepb.FollowResponse{Reset_: f.reset}
	for name := range f.dirty {
		switch e := f.roster.rows[name]; {
		case e == nil:
			news.Gone = append(news.Gone, name)
		case e.keeper == "":
			news.Workloads = append(news.Workloads, e.registered())
		}
	}
	f.reset = false
	clear(f.dirty)
	f.taken, f.next = f.next, make(chan struct{})
	return news
}

// Caught notes that the sibling has what Next returned last.
func (f *Follower) Caught() {
	f.roster.mu.Lock()
	defer f.roster.mu.Unlock()
	select {
	case <-f.taken:
	default:
		close(f.taken)
	}
}

// Followed returns when all siblings that follow have everything that changed so far, or ctx ends.
func (r *Roster) Followed(ctx context.Context) error {
	for _, caught := range r.behind() {
		select {
		case <-caught:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (r *Roster) behind() (all []<-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for f := range r.followers {
		if len(f.dirty) > 0 {
			all = append(all, f.next)
		} else {
			all = append(all, f.taken)
		}
	}
	return all
}

// registered is the row as siblings hear of it.
func (e *entry) registered() *machinepb.Registered {
	w := e.workload
	row := &machinepb.Registered{
		Name: w.Name, Workspace: w.Workspace, Service: w.Service, Role: w.Role, Workload: w.Registration, Health: e.health,
		Attended: e.session != nil, Leaving: e.leaving, Lost: !e.lost.IsZero(),
	}
	if row.Attended {
		row.Since = timestamppb.New(e.since)
	}
	return row
}

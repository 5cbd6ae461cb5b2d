package roster

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// settleTime bounds how long a workload that leaves waits for its callers.
const settleTime = 2 * time.Second

type stream = grpc.BidiStreamingServer[machinepb.AttendRequest, machinepb.AttendResponse]

// line is an agent's stream, on which answers and announcements take turns.
type line struct {
	stream
	mu sync.Mutex
}

// Send sends when nobody else does.
func (l *line) Send(answer *machinepb.AttendResponse) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stream.Send(answer)
}

// Attend keeps a workload registered.
func (r *Roster) Attend(raw stream) error {
	stream := &line{stream: raw}
	s, err := r.greet(stream)
	if err != nil {
		return r.config.Refusals.Status(stream.Context(), "Attend", err)
	}
	defer r.end(s)
	ctx, cancel := context.WithCancel(stream.Context())
	var announcing sync.WaitGroup
	defer announcing.Wait()
	defer cancel()
	next := r.announcement()
	if err := stream.Send(r.answer(s)); err != nil {
		return err
	}
	announcing.Go(func() { r.announce(ctx, stream, s, next) })
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := r.heed(stream, s, request); err != nil {
			return err
		}
	}
}

// Announce tells every agent which edges the zone has now, and whom to trust.
func (r *Roster) Announce() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.announced)
	r.announced = make(chan struct{})
}

func (r *Roster) announcement() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.announced
}

// announce passes announcements on to one agent until ctx or its stream ends.
func (r *Roster) announce(ctx context.Context, stream stream, s *session, next <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-next:
		}
		next = r.announcement()
		if stream.Send(r.answer(s)) != nil {
			return // whoever reads the stream hears why
		}
	}
}

// greet checks the caller, registers its workload and waits until the proxies' side knows it.
func (r *Roster) greet(stream stream) (*session, error) {
	who, err := r.config.Zone.Caller(stream.Context())
	if err != nil {
		return nil, err
	}
	first, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	if first.Workload == nil {
		return nil, problem.RegistrationInvalid.Because("the first message must register a workload")
	}
	if err := validate(first.Workload); err != nil {
		return nil, err
	}
	s, err := r.register(who, first.Workload, first.Health)
	if err != nil {
		return nil, err
	}
	return s, r.wait(stream.Context(), s)
}

// wait returns when the changes made so far are published.
func (r *Roster) wait(ctx context.Context, s *session) error {
	select {
	case <-r.Flushed():
		return nil
	case <-ctx.Done():
		r.end(s)
		return status.FromContextError(ctx.Err()).Err()
	}
}

func (r *Roster) answer(s *session) *machinepb.AttendResponse {
	a := &machinepb.AttendResponse{Workload: s.name, Edges: r.config.Edges(), Federated: r.config.Federated(), Lease: durationpb.New(r.config.Lease)}
	if w := r.get(s.name); w != nil {
		a.NodeId, a.Warning = r.config.NodeID(w), w.warning()
	}
	return a
}

// heed does what a later message asks.
func (r *Roster) heed(stream stream, s *session, request *machinepb.AttendRequest) error {
	w, bad := request.Workload, ""
	if w != nil {
		if err := r.acceptable(s, w); err != nil {
			w, bad = nil, err.Error()
			_ = r.config.Refusals.Status(stream.Context(), "Attend", err) // logged and counted; the registration of before stands
		}
	}
	if !r.update(s, w, request.Health, request.Leave) {
		return status.Error(codes.Aborted, "the workload attends on a newer stream")
	}
	if request.Leave {
		return r.leave(stream, s)
	}
	if request.Workload == nil {
		return nil
	}
	if err := r.wait(stream.Context(), s); err != nil {
		return err
	}
	answer := r.answer(s)
	answer.Warning = cmp.Or(bad, answer.Warning)
	return stream.Send(answer)
}

// acceptable checks a changed registration.
func (r *Roster) acceptable(s *session, w *machinepb.Workload) error {
	if old := r.get(s.name); old != nil && old.Registration.Instance != w.Instance {
		return problem.RegistrationInvalid.Because("a stream is for one instance, not for %s and %s", old.Registration.Instance, w.Instance)
	}
	return validate(w)
}

// leave answers when the workload's callers know that it is gone, or after a while. Its own proxy
// keeps its configuration until the stream ends.
func (r *Roster) leave(stream stream, s *session) error {
	if err := r.wait(stream.Context(), s); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(stream.Context(), settleTime)
	defer cancel()
	answer := r.answer(s)
	answer.Left = true
	if err := r.config.Settle(ctx); err != nil {
		answer.Warning = "some callers have not confirmed that they know"
		r.config.Log.Warn("workload leaves before all callers know", "workload", s.name, "err", err)
	}
	return stream.Send(answer)
}

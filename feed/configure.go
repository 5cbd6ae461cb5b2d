package feed

import (
	"context"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

type configureStream = grpc.BidiStreamingServer[feedpb.ConfigureRequest, feedpb.ConfigureResponse]

// Configure serves one edge: what it lacks, then its answer, then what it lacks by then.
func (s *Server) Configure(stream configureStream) error {
	ctx := stream.Context()
	edge, hello, err := s.greet(stream)
	if err != nil {
		return s.refuse(ctx, "Configure", err)
	}
	if err := stream.SendHeader(nil); err != nil { // tells the edge that it is welcome, before there is anything to send
		return err
	}
	s.connected(edge, hello)
	defer s.gone(edge)
	z := s.zone(edge.zone)
	f := z.follow(hello.InitialVersions)
	defer f.stop()
	for serial := 0; ; serial++ {
		if err := f.wait(ctx); err != nil {
			return err
		}
		if err := s.exchange(stream, edge, f, strconv.Itoa(serial)); err != nil {
			return err
		}
	}
}

// greet reads the first message and checks who speaks.
func (s *Server) greet(stream configureStream) (edgeKey, *feedpb.ConfigureRequest_Hello, error) {
	edge, err := s.edgeOf(stream.Context())
	if err != nil {
		return edge, nil, err
	}
	first, err := stream.Recv()
	if err != nil {
		return edge, nil, err
	}
	hello := first.Hello
	if hello == nil {
		return edge, nil, status.Error(codes.InvalidArgument, "the first message must be a hello")
	}
	if hello.Protocol < 1 || hello.Protocol > Protocol {
		return edge, nil, status.Errorf(codes.FailedPrecondition, "the edge speaks protocol %d, the hub %d: upgrade the hub first", hello.Protocol, Protocol)
	}
	return edge, hello, edge.speaksFor(hello.Zone, hello.Edge)
}

// wait returns when the zone has something new.
func (f *follower) wait(ctx context.Context) error {
	select {
	case <-f.wake:
		return nil
	case <-f.zone.ended:
		return status.Error(codes.NotFound, "the zone was deleted")
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

// exchange sends one revision and waits for the edge's answer, which is all the backpressure needed.
func (s *Server) exchange(stream configureStream, edge edgeKey, f *follower, nonce string) error {
	c := f.take()
	for _, part := range c.parts(nonce, s.config.Limits.PartBytes) {
		if err := stream.Send(part); err != nil {
			return err
		}
		s.metrics.bytes.Add(float64(proto.Size(part)))
	}
	s.metrics.revisions.Inc()
	s.metrics.resources.Add(float64(len(c.upserts) + len(c.removed)))
	answer, err := stream.Recv()
	if err != nil {
		return err
	}
	if answer.Nonce != nonce {
		return status.Errorf(codes.InvalidArgument, "answer to %q, expected %q", answer.Nonce, nonce)
	}
	s.answered(edge, f, c, answer.Error)
	return nil
}

func (s *Server) answered(edge edgeKey, f *follower, c change, refusal string) {
	if refusal == "" {
		f.accepted(c)
		s.config.Hub.Accepted(edge.zone, edge.edge, c.revision)
		return
	}
	f.refused(c)
	s.metrics.nacked.WithLabelValues(edge.zone).Inc()
	s.config.Log.Error("feed: an edge refused a revision", "zone", edge.zone, "edge", edge.edge, "revision", c.revision, "message", refusal)
	s.config.Hub.Refused(edge.zone, edge.edge, c.revision, refusal)
}

// parts cuts a change into messages of about size bytes, at least one; the last is marked.
func (c change) parts(nonce string, size int) []*feedpb.ConfigureResponse {
	cutter := cutter{size: size, next: func() *feedpb.ConfigureResponse {
		return &feedpb.ConfigureResponse{Revision: c.revision, Nonce: nonce, Committed: timestamppb.New(c.committed)}
	}}
	for _, r := range c.upserts {
		part := cutter.room(proto.Size(r))
		part.Resources = append(part.Resources, r)
	}
	for _, name := range c.removed {
		part := cutter.room(len(name))
		part.Removed = append(part.Removed, name)
	}
	last := cutter.room(0)
	last.Last = true
	return cutter.parts
}

// cutter hands out the message that has room for the next item.
type cutter struct {
	size, used int
	next       func() *feedpb.ConfigureResponse
	parts      []*feedpb.ConfigureResponse
}

func (c *cutter) room(bytes int) *feedpb.ConfigureResponse {
	if len(c.parts) == 0 || c.used > 0 && c.used+bytes > c.size {
		c.parts, c.used = append(c.parts, c.next()), 0
	}
	c.used += bytes
	return c.parts[len(c.parts)-1]
}

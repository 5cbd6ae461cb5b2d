package siblings

import (
	"context"

	"google.golang.org/grpc"

	"github.com/isthmus-mesh/isthmus/edge/admission"
	"github.com/isthmus-mesh/isthmus/edge/roster"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// Server is what siblings talk to; all fields are required.
type Server struct {
	machinepb.UnimplementedEdgesServer
	Zone     admission.Zone
	Roster   *roster.Roster
	Refusals *admission.Refusals
	// Acknowledged returns when this edge's proxies have acknowledged everything published before, or
	// its context ends.
	Acknowledged func(context.Context) error
}

// Follow implements [machinepb.EdgesServer].
func (s *Server) Follow(stream grpc.BidiStreamingServer[machinepb.FollowRequest, machinepb.FollowResponse]) error {
	ctx := stream.Context()
	if _, err := s.Zone.Sibling(ctx); err != nil {
		return s.Refusals.Status(ctx, "Follow", err)
	}
	if _, err := stream.Recv(); err != nil {
		return err
	}
	f := s.Roster.Follow()
	defer f.Stop()
	for {
		news, err := f.Next(ctx)
		if err != nil {
			return err
		}
		if err := stream.Send(news); err != nil {
			return err
		}
		if _, err := stream.Recv(); err != nil {
			return err
		}
		f.Caught()
	}
}

// Settle implements [machinepb.EdgesServer].
func (s *Server) Settle(ctx context.Context, _ *machinepb.SettleRequest) (*machinepb.SettleResponse, error) {
	if _, err := s.Zone.Sibling(ctx); err != nil {
		return nil, s.Refusals.Status(ctx, "Settle", err)
	}
	return &machinepb.SettleResponse{}, s.Acknowledged(ctx)
}

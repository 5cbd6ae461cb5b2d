package feed

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

type listenStream = grpc.BidiStreamingClient[feedpb.ConfigureRequest, feedpb.ConfigureResponse]

// hello opens the stream of configuration and says what the edge has.
func (c *Client) hello(ctx context.Context, f feedpb.FeedClient) (listenStream, error) {
	stream, err := f.Configure(ctx)
	if err != nil {
		return nil, err
	}
	revision, versions := c.config.Have()
	return stream, stream.Send(&feedpb.ConfigureRequest{Hello: &feedpb.ConfigureRequest_Hello{
		Protocol: Protocol, Zone: c.config.Zone, Edge: c.config.Edge, Version: c.config.Version,
		Advertise: c.config.Advertise, InitialVersions: versions, Revision: uint64(revision),
	}})
}

// receive applies revisions until the stream ends. greeted is called when the hub has accepted the
// stream; some tells whether it has.
func (c *Client) receive(ctx context.Context, stream listenStream, greeted func()) (some bool, err error) {
	if _, err := stream.Header(); err != nil {
		return false, err
	}
	greeted()
	for {
		revision, nonce, err := assemble(stream)
		if err != nil {
			return some, err
		}
		answer := &feedpb.ConfigureRequest{Nonce: nonce}
		if err := c.config.Apply(ctx, revision); err != nil {
			answer.Error = err.Error()
			c.config.Log.Error("feed: revision refused", "revision", revision.Number, "err", err)
		}
		if err := stream.Send(answer); err != nil {
			return some, err
		}
		some = true
	}
}

// assemble reads the parts of one revision.
func assemble(stream listenStream) (revision Revision, nonce string, err error) {
	for first := true; ; first = false {
		part, err := stream.Recv()
		if err != nil {
			return Revision{}, "", err
		}
		if !first && (part.Nonce != nonce || part.Revision != revision.Number) {
			return Revision{}, "", fmt.Errorf("revision %d begins before revision %d is complete", part.Revision, revision.Number)
		}
		nonce, revision.Number, revision.Committed = part.Nonce, part.Revision, part.Committed.AsTime()
		revision.Upserts = append(revision.Upserts, part.Resources...)
		revision.Removed = append(revision.Removed, part.Removed...)
		if part.Last {
			return revision, nonce, nil
		}
	}
}

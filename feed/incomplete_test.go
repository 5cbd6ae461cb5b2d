package feed_test

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
)

// torn is a hub that dies in the middle of a revision, then mixes two, then sends one whole.
type torn struct {
	feedpb.UnimplementedFeedServer
	streams atomic.Int32
}

func (s *torn) Report(stream grpc.BidiStreamingServer[feedpb.ReportRequest, feedpb.ReportResponse]) error {
	<-stream.Context().Done()
	return nil
}

func (s *torn) Configure(stream grpc.BidiStreamingServer[feedpb.ConfigureRequest, feedpb.ConfigureResponse]) error {
	part := func(revision int64, last bool) {
		_ = stream.Send(&feedpb.ConfigureResponse{Revision: revision, Nonce: "n", Last: last, Resources: []*feedpb.Resource{resource("a", "1")}})
	}
	switch s.streams.Add(1) {
	case 1:
		part(1, false)
	case 2:
		part(1, false)
		part(2, true)
	default:
		part(3, true)
	}
	if s.streams.Load() > 1 {
		<-stream.Context().Done()
	}
	return nil
}

func TestIncompleteRevisionIsNeverApplied(t *testing.T) {
	h := newHub(t, feed.Limits{})
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(identity.ServerTLS(h.peer(identity.Hub(domain)), time.Now))))
	feedpb.RegisterFeedServer(server, new(torn))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); <-served })
	e := h.edge("e1", nil, l.Addr().String())
	eventually(t, "whole revision", e.at(3))
	if got := e.applied(); len(got) != 1 {
		t.Errorf("applied %v, want revision 3 only", got)
	}
}

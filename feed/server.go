package feed

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/prometheus/client_golang/prometheus"
)

// Protocol is the newest version of the protocol that this package speaks.
const Protocol = 1

// Handler is what the hub does with what edges ask and say. Its methods are called from many
// goroutines at once, in order within one stream; a method that blocks delays its own edge only.
// zone and edge are those of the caller's certificate.
type Handler interface {
	// Admit answers an edge's request for certificates: with a token when peer is nil, a renewal
	// otherwise. A [problem.Error] becomes the refusal that the edge sees.
	Admit(ctx context.Context, request *feedpb.AdmitRequest, peer *identity.ID) (*feedpb.AdmitResponse, error)
	// Redeem marks a workload's token as used by a key, or refuses. peer is an edge.
	Redeem(ctx context.Context, peer identity.ID, request *feedpb.RedeemRequest) error
	// EdgeConnected is called when an edge begins to listen, again when it does so a second time
	// without having gone.
	EdgeConnected(zone, edge string, hello *feedpb.ConfigureRequest_Hello)
	// EdgeGone is called when the last stream of an edge has ended.
	EdgeGone(zone, edge string)
	// Report takes a report. With reset it holds everything the edge knows.
	Report(zone, edge string, report *feedpb.ReportRequest)
	// Accepted is called when an edge has applied a revision, and before the next is sent to it.
	Accepted(zone, edge string, revision int64)
	// Refused is called when an edge did not apply a revision; it keeps what it had.
	Refused(zone, edge string, revision int64, message string)
}

// ServerConfig is what a [Server] needs. All fields but Limits and Metrics are required.
type ServerConfig struct {
	Hub         Handler
	TrustDomain string
	Log         *slog.Logger
	Limits      Limits
	// Metrics receives the server's counters; nil means none are kept.
	Metrics prometheus.Registerer
}

// Server is the hub's end of the feed.
type Server struct {
	feedpb.UnimplementedFeedServer
	config  ServerConfig
	metrics *metrics

	mu    sync.Mutex
	zones map[string]*zone
	edges map[edgeKey]int // streams by edge
}

type edgeKey struct{ zone, edge string }

// NewServer makes a server that knows no zone yet. An edge of a zone that was never published is
// kept waiting, so that a hub that has just started takes nothing away from it.
func NewServer(config ServerConfig) *Server {
	config.Limits = config.Limits.orDefault()
	return &Server{
		config: config, metrics: newMetrics(config.Metrics),
		zones: map[string]*zone{}, edges: map[edgeKey]int{},
	}
}

// Register adds the service to a gRPC server, which must have been made with [ServerOptions] and
// with [identity.ServerTLS] as its credentials. Streams end with that server's Stop.
func (s *Server) Register(server *grpc.Server) { feedpb.RegisterFeedServer(server, s) }

// Publish changes a zone's state: upserts are put, removed names deleted, and revision is where the
// zone is now, also when nothing changed. committed is when the hub learned of the newest change.
// A resource too large to travel is left out; the error, a joined [problem.ResourceTooLarge] for
// each, names them, and all others are published. Resources belong to the server afterwards and
// must not be changed.
func (s *Server) Publish(zone string, revision int64, committed time.Time, upserts []*feedpb.Resource, removed []string) error {
	fit, err := s.config.Limits.fitting(upserts)
	s.zone(zone).publish(revision, committed, fit, removed)
	return err
}

// Reset replaces a zone's state; edges are sent the difference. Errors as for Publish.
func (s *Server) Reset(zone string, revision int64, committed time.Time, state []*feedpb.Resource) error {
	fit, err := s.config.Limits.fitting(state)
	s.zone(zone).reset(revision, committed, fit)
	return err
}

// Forget ends a zone: its streams end with NotFound, and its edges keep what they have.
func (s *Server) Forget(zone string) {
	s.mu.Lock()
	z := s.zones[zone]
	delete(s.zones, zone)
	s.mu.Unlock()
	if z != nil {
		z.end()
	}
}

func (s *Server) zone(name string) *zone {
	s.mu.Lock()
	defer s.mu.Unlock()
	z := s.zones[name]
	if z == nil {
		z = newZone()
		s.zones[name] = z
	}
	return z
}

// connected and gone count streams, because an edge may be back before its old stream is known dead.
func (s *Server) connected(p edgeKey, hello *feedpb.ConfigureRequest_Hello) {
	s.mu.Lock()
	s.edges[p]++
	s.mu.Unlock()
	s.metrics.streams.Inc()
	s.config.Hub.EdgeConnected(p.zone, p.edge, hello)
}

func (s *Server) gone(p edgeKey) {
	s.mu.Lock()
	s.edges[p]--
	last := s.edges[p] == 0
	if last {
		delete(s.edges, p)
	}
	s.mu.Unlock()
	s.metrics.streams.Dec()
	if last {
		s.config.Hub.EdgeGone(p.zone, p.edge)
	}
}

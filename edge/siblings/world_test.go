package siblings_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/isthmus-mesh/isthmus/edge/admission"
	. "github.com/isthmus-mesh/isthmus/edge/internal/zonetest"
	"github.com/isthmus-mesh/isthmus/edge/journal"
	"github.com/isthmus-mesh/isthmus/edge/roster"
	"github.com/isthmus-mesh/isthmus/edge/siblings"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const lease = 50 * time.Millisecond

// world is a zone of edges that can reach machines or not.
type world struct {
	*Zone
	t *testing.T

	mu        sync.Mutex
	reachable bool
}

func newWorld(t *testing.T) *world { return &world{Zone: New(t), t: t} }

func (w *world) reach(yes bool) { w.mu.Lock(); defer w.mu.Unlock(); w.reachable = yes }

func (w *world) probe(context.Context, string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.reachable {
		return errors.New("connection refused")
	}
	return nil
}

// edge is an edge's roster and siblings, served on loopback. Its proxies acknowledge when asked.
type edge struct {
	machinepb.UnimplementedMachineServer
	*roster.Roster
	world    *world
	name     string
	path     string
	address  string
	siblings *siblings.Siblings
	stop     func()
	settled  chan struct{} // receives whenever the proxies are waited for
}

func (w *world) edge(name string) *edge {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	Check(w.t, err)
	e := &edge{world: w, name: name, path: filepath.Join(w.t.TempDir(), "workloads"), address: l.Addr().String(), settled: make(chan struct{}, 16)}
	e.start(l)
	return e
}

// start begins a process, so to speak: only the file may be old.
func (e *edge) start(l net.Listener) {
	w := e.world
	w.t.Helper()
	j, err := journal.Open(e.path)
	Check(w.t, err)
	refusals := admission.NewRefusals(Log(w.t), nil)
	e.Roster, err = roster.New(roster.Config{
		Zone: admission.Zone{Name: "dc1", TrustDomain: Domain}, Journal: j, Publish: func([]*roster.Workload, []string) {},
		NodeID: func(w *roster.Workload) string { return w.Name }, Settle: func(ctx context.Context) error { return e.siblings.Settle(ctx) },
		Report: func(*feedpb.ReportRequest) {}, Saved: func(err error) { Check(w.t, err) },
		Edges:     func() []string { return append([]string{e.address}, e.siblings.Addresses()...) },
		Federated: func() []*machinepb.TrustDomain { return nil },
		Lease:     lease, Forget: time.Hour, Probe: w.probe, Now: time.Now, Refusals: refusals, Log: Log(w.t), Metrics: prometheus.NewRegistry(),
	})
	Check(w.t, err)
	self := w.Edge("dc1", e.name)
	e.siblings = siblings.New(siblings.Config{Name: e.name, Roster: e.Roster, Log: Log(w.t), TLS: func(sibling string) *tls.Config {
		return identity.ClientTLS(self, time.Now, func(id identity.ID) error {
			if id != identity.Edge(Domain, "dc1", sibling) {
				return errors.New("another edge")
			}
			return nil
		})
	}})
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(identity.ServerTLS(self, time.Now))))
	machinepb.RegisterMachineServer(server, e)
	machinepb.RegisterEdgesServer(server, &siblings.Server{
		Zone: admission.Zone{Name: "dc1", TrustDomain: Domain}, Roster: e.Roster, Refusals: refusals,
		Acknowledged: func(context.Context) error { e.settled <- struct{}{}; return nil },
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = e.Roster.Run(ctx) })
	running.Go(func() { _ = e.siblings.Run(ctx) })
	running.Go(func() { _ = server.Serve(l) })
	e.stop = sync.OnceFunc(func() { cancel(); server.Stop(); running.Wait(); j.Close() })
	w.t.Cleanup(e.stop)
}

// again starts a new process at the old address, with the old file.
func (e *edge) again() {
	e.world.t.Helper()
	l, err := net.Listen("tcp", e.address)
	Check(e.world.t, err)
	e.start(l)
}

// Attend implements [machinepb.MachineServer].
func (e *edge) Attend(stream grpc.BidiStreamingServer[machinepb.AttendRequest, machinepb.AttendResponse]) error {
	return e.Roster.Attend(stream)
}

// meet tells edges of one another.
func meet(edges ...*edge) {
	var all []*feedpb.ZoneEdge
	for _, e := range edges {
		all = append(all, &feedpb.ZoneEdge{Name: e.name, Addresses: []string{e.address}})
	}
	for _, e := range edges {
		e.siblings.Set(all)
		e.Announce()
	}
}

// is tells whether an edge has exactly one workload, and it is healthy or not.
func (e *edge) is(healthy bool) func() bool {
	return func() bool { all := e.All(); return len(all) == 1 && all[0].Healthy == healthy }
}

func (e *edge) empty() bool { return len(e.All()) == 0 }

// agent attends as the workload shop/reviews.
type agent struct {
	t      *testing.T
	stream grpc.BidiStreamingClient[machinepb.AttendRequest, machinepb.AttendResponse]
	hangUp func()
	first  *machinepb.AttendResponse
}

func (e *edge) attend(as *Peer) *agent {
	t := e.world.t
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	stream, err := machinepb.NewMachineClient(e.world.Dial(e.address, as)).Attend(ctx)
	Check(t, err)
	a := &agent{t: t, stream: stream, hangUp: cancel}
	a.say(&machinepb.AttendRequest{Health: &machinepb.Health{Healthy: true}, Workload: &machinepb.Workload{
		Instance: "0123456789abcdef", Addresses: []string{"10.0.0.1"}, Ports: []*machinepb.Port{{Port: 9080, Protocol: "http"}},
	}})
	a.first = a.hear()
	return a
}

func (a *agent) say(r *machinepb.AttendRequest) { a.t.Helper(); Check(a.t, a.stream.Send(r)) }

func (a *agent) is(healthy bool) {
	a.t.Helper()
	a.say(&machinepb.AttendRequest{Health: &machinepb.Health{Healthy: healthy, Reason: "as it is"}})
}

func (a *agent) hear() *machinepb.AttendResponse {
	a.t.Helper()
	r, err := a.stream.Recv()
	Check(a.t, err)
	return r
}

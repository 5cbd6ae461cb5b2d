package feed_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
)

const domain = "isthmus.local"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hub is a real feed server on loopback with mutual TLS, and a record of what it was told.
type hub struct {
	*feed.Server
	record
	t       testing.TB
	root    *identity.Authority
	grpc    *grpc.Server
	address string
	metrics *prometheus.Registry
}

// record is a Handler that keeps what it is told.
type record struct {
	mu        sync.Mutex
	events    []string
	reports   []*feedpb.ReportRequest
	admit     func(*feedpb.AdmitRequest, *identity.ID) (*feedpb.AdmitResponse, error)
	redeem    func(identity.ID, *feedpb.RedeemRequest) error
	reportsIn chan struct{} // when set, each report waits for a value
}

func (r *record) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, fmt.Sprintf(format, args...))
}

func (r *record) has(event string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.events, event)
}

func (r *record) Admit(_ context.Context, request *feedpb.AdmitRequest, peer *identity.ID) (*feedpb.AdmitResponse, error) {
	return r.admit(request, peer)
}
func (r *record) Redeem(_ context.Context, peer identity.ID, request *feedpb.RedeemRequest) error {
	return r.redeem(peer, request)
}
func (r *record) EdgeConnected(zone, edge string, hello *feedpb.ConfigureRequest_Hello) {
	r.note("connected %s/%s at %d", zone, edge, hello.Revision)
}
func (r *record) EdgeGone(zone, edge string) { r.note("gone %s/%s", zone, edge) }
func (r *record) Report(zone, edge string, report *feedpb.ReportRequest) {
	r.mu.Lock()
	gate := r.reportsIn
	r.mu.Unlock()
	if gate != nil {
		<-gate
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reports = append(r.reports, report)
}
func (r *record) Accepted(zone, edge string, revision int64) {
	r.note("accepted %s/%s %d", zone, edge, revision)
}
func (r *record) Refused(zone, edge string, revision int64, message string) {
	r.note("refused %s/%s %d: %s", zone, edge, revision, message)
}

func newHub(t testing.TB, limits feed.Limits) *hub {
	t.Helper()
	key, err := identity.NewKey()
	check(t, err)
	root, err := identity.NewRoot(domain, key, time.Now)
	check(t, err)
	h := &hub{t: t, root: root}
	h.start(limits)
	return h
}

// start begins a new server process, so to speak: it knows no zones.
func (h *hub) start(limits feed.Limits) {
	h.t.Helper()
	h.metrics = prometheus.NewRegistry()
	h.Server = feed.NewServer(feed.ServerConfig{
		Hub: &h.record, TrustDomain: domain, Limits: limits, Metrics: h.metrics,
		Log: slog.New(slog.NewTextHandler(h.t.Output(), nil)),
	})
	own := h.peer(identity.Hub(domain))
	server := grpc.NewServer(append(feed.ServerOptions(), grpc.Creds(credentials.NewTLS(identity.ServerTLS(own, time.Now))))...)
	h.Register(server)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(h.t, err)
	h.grpc, h.address = server, l.Addr().String()
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(l) }()
	h.t.Cleanup(func() { server.Stop(); <-served })
}

// peer is a certificate signed by the root.
type peer struct {
	cert  *tls.Certificate
	roots []*x509.Certificate
}

func (p peer) Certificate() *tls.Certificate { return p.cert }
func (p peer) Roots() []*x509.Certificate    { return p.roots }

func (h *hub) peer(id identity.ID) peer {
	h.t.Helper()
	key, err := identity.NewKey()
	check(h.t, err)
	csr, err := identity.NewRequest(key)
	check(h.t, err)
	ders, err := h.root.Sign(csr, id, time.Hour, nil, nil)
	check(h.t, err)
	cert, err := identity.Chain(key, ders)
	check(h.t, err)
	return peer{cert, h.root.Roots()}
}

func (h *hub) tls(p peer) *tls.Config {
	return identity.ClientTLS(p, time.Now, func(id identity.ID) error {
		if !id.IsHub() {
			return fmt.Errorf("%v is no hub", id)
		}
		return nil
	})
}

// dial is a plain gRPC client with a certificate.
func (h *hub) dial(p peer) feedpb.FeedClient {
	h.t.Helper()
	c, err := grpc.NewClient("passthrough:///"+h.address, grpc.WithTransportCredentials(credentials.NewTLS(h.tls(p))))
	check(h.t, err)
	h.t.Cleanup(func() { c.Close() })
	return feedpb.NewFeedClient(c)
}

// edge is a client with a state.
type edge struct {
	*feed.Client
	stop func()

	mu        sync.Mutex
	revision  int64
	state     map[string]string
	revisions []feed.Revision
	refuse    error
	gate      chan struct{} // when set, each revision waits for a value
	inventory *feedpb.ReportRequest
	links     []error
	arrived   chan struct{} // when set, told of each revision
}

// edge starts a client for edge name of dc1 that already has state.
func (h *hub) edge(name string, state map[string]string, addresses ...string) *edge {
	h.t.Helper()
	e := &edge{state: map[string]string{}, inventory: &feedpb.ReportRequest{}}
	maps.Copy(e.state, state)
	own := h.peer(identity.Edge(domain, "dc1", name))
	if len(addresses) == 0 {
		addresses = []string{h.address}
	}
	e.Client = feed.NewClient(feed.ClientConfig{
		Addresses: addresses, TLS: func() *tls.Config { return h.tls(own) },
		Zone: "dc1", Edge: name, Version: "test", Advertise: []string{"127.0.0.1:15012"},
		Have: e.have, Apply: e.apply, Changed: e.changed,
		Inventory: func() *feedpb.ReportRequest { e.mu.Lock(); defer e.mu.Unlock(); return e.inventory },
		Log:       slog.New(slog.NewTextHandler(h.t.Output(), nil)),
		Backoff:   func(int) time.Duration { return time.Millisecond },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = e.Run(ctx) }()
	e.stop = sync.OnceFunc(func() { cancel(); <-done })
	h.t.Cleanup(e.stop)
	return e
}

func (e *edge) have() (int64, map[string]string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.revision, maps.Clone(e.state)
}

func (e *edge) apply(ctx context.Context, r feed.Revision) error {
	e.mu.Lock()
	gate := e.gate
	e.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.revisions = append(e.revisions, r)
	if e.refuse != nil {
		return e.refuse
	}
	for _, u := range r.Upserts {
		e.state[u.Name] = u.Version
	}
	for _, name := range r.Removed {
		delete(e.state, name)
	}
	e.revision = r.Number
	if e.arrived != nil {
		e.arrived <- struct{}{}
	}
	return nil
}

// set changes what tests may change while the edge runs.
func (e *edge) set(change func(*edge)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(e)
}

func (e *edge) changed(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.links = append(e.links, err)
}

func (e *edge) at(revision int64) func() bool {
	return func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.revision == revision }
}

// applied are the revisions that came, in order.
func (e *edge) applied() []feed.Revision {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.revisions)
}

func resource(name, version string) *feedpb.Resource {
	return &feedpb.Resource{Name: name, Version: version}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition, looking often.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); !condition(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

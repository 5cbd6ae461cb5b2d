package edge_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/edge"
	. "github.com/isthmus-mesh/isthmus/edge/internal/zonetest"
	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// hub is a feed server on loopback with a root of its own, and what edges told it.
type hub struct {
	*Zone
	feed  *feed.Server
	t     *testing.T
	addr  string
	token identity.Token // admits an edge of dc1
	stop  func()

	mu         sync.Mutex
	life       time.Duration // of the certificates given to edges
	key        string        // that used the token
	admitted   int
	revision   int64
	workloads  map[string]*feedpb.Workload
	receipts   map[string]int64
	rejections map[string]*feedpb.Rejection
	conditions []*feedpb.Condition
}

func newHub(t *testing.T) *hub {
	t.Helper()
	h := &hub{Zone: New(t), t: t, life: time.Hour, workloads: map[string]*feedpb.Workload{}, receipts: map[string]int64{}, rejections: map[string]*feedpb.Rejection{}}
	h.start("127.0.0.1:0")
	h.token = identity.NewToken("dc1-edge", []string{h.addr}, h.Root.Certificate())
	return h
}

// start begins to listen; stop ends it, and start may follow at the same address.
func (h *hub) start(address string) {
	h.t.Helper()
	h.feed = feed.NewServer(feed.ServerConfig{Hub: h, TrustDomain: Domain, Log: Log(h.t)})
	server := grpc.NewServer(append(feed.ServerOptions(), grpc.Creds(credentials.NewTLS(identity.ServerTLS(h.hubPeer(), time.Now))))...)
	h.feed.Register(server)
	l, err := net.Listen("tcp", address)
	Check(h.t, err)
	h.addr = l.Addr().String()
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(l) }()
	h.stop = sync.OnceFunc(func() { server.Stop(); <-served })
	h.t.Cleanup(h.stop)
}

func (h *hub) hubPeer() *Peer {
	key := Key(h.t)
	ders, err := h.Root.Sign(Request(h.t, key), identity.Hub(Domain), time.Hour, nil, nil)
	Check(h.t, err)
	return h.With(key, ders)
}

func (h *hub) publish(resources ...*feedpb.Resource) {
	h.t.Helper()
	h.mu.Lock()
	h.revision++
	revision := h.revision
	h.mu.Unlock()
	Check(h.t, h.feed.Publish("dc1", revision, time.Now(), resources, nil))
}

// Admit implements [feed.Handler] as the real hub does, with one token.
func (h *hub) Admit(_ context.Context, r *feedpb.AdmitRequest, peer *identity.ID) (*feedpb.AdmitResponse, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if peer == nil {
		token, err := identity.ParseToken(r.Token)
		if err != nil {
			return nil, err
		}
		if token.Name != h.token.Name || !token.Proves(h.token.SecretSHA256()) {
			return nil, problem.TokenUnknown.Because("token %q", token.Name)
		}
		key, err := identity.RequestKeySHA256(r.Csr)
		if err != nil || h.key != "" && h.key != key {
			return nil, problem.TokenUsed.Because("token %q: %v", token.Name, err)
		}
		h.key = key
	}
	own, err1 := h.Root.Sign(r.Csr, identity.Edge(Domain, "dc1", r.Edge), h.life, nil, nil)
	authority, err2 := h.Root.SignAuthority(r.AuthorityCsr, "dc1", h.life)
	if err1 != nil || err2 != nil {
		return nil, problem.RequestInvalid.Because("%v, %v", err1, err2)
	}
	h.admitted++
	return &feedpb.AdmitResponse{Zone: "dc1", TrustDomain: Domain, Certificates: own, AuthorityCertificates: authority, Roots: [][]byte{h.Root.Certificate().Raw}}, nil
}

// Redeem implements [feed.Handler].
func (h *hub) Redeem(context.Context, identity.ID, *feedpb.RedeemRequest) error { return nil }

// EdgeConnected implements [feed.Handler].
func (h *hub) EdgeConnected(string, string, *feedpb.ConfigureRequest_Hello) {}

// EdgeGone implements [feed.Handler].
func (h *hub) EdgeGone(string, string) {}

// Accepted implements [feed.Handler].
func (h *hub) Accepted(string, string, int64) {}

// Refused implements [feed.Handler].
func (h *hub) Refused(_, _ string, revision int64, message string) {
	h.t.Errorf("revision %d refused: %s", revision, message)
}

// Report implements [feed.Handler].
func (h *hub) Report(_, _ string, r *feedpb.ReportRequest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.Reset_ {
		clear(h.workloads)
		clear(h.receipts)
		clear(h.rejections)
	}
	for _, w := range r.Workloads {
		h.workloads[w.Name] = w
	}
	for _, name := range r.WorkloadsGone {
		delete(h.workloads, name)
	}
	for _, rejection := range r.Rejections {
		h.rejections[rejection.Resource] = rejection
	}
	for _, receipt := range r.Receipts {
		for _, proxy := range receipt.Proxies {
			h.receipts[proxy] = receipt.Revision
		}
	}
	if r.ConditionsSet {
		h.conditions = r.Conditions
	}
}

// complains tells whether the edge's conditions have the reason.
func (h *hub) complains(reason string) func() bool {
	return func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return slices.ContainsFunc(h.conditions, func(c *feedpb.Condition) bool { return c.Reason == reason })
	}
}

// running is an edge in this process.
type running struct {
	t    *testing.T
	addr string
	stop func()
}

func (h *hub) config(dir string) edge.Config {
	return edge.Config{DataDir: dir, JoinToken: h.token.String(), Listen: "127.0.0.1:0", Name: "e1", Version: "test", Log: Log(h.t), Lease: time.Minute}
}

// run starts an edge and waits until it serves agents.
func (h *hub) run(config edge.Config) *running {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan string, 1), make(chan error, 1)
	config.Ready = func(address string) { ready <- address }
	go func() { done <- edge.Run(ctx, config) }()
	e := &running{t: h.t}
	e.stop = sync.OnceFunc(func() { cancel(); Check(h.t, <-done) })
	h.t.Cleanup(e.stop)
	select {
	case e.addr = <-ready:
	case err := <-done:
		done <- err
		h.t.Fatalf("the edge ended: %v", err)
	case <-time.After(30 * time.Second):
		h.t.Fatal("the edge never served")
	}
	return e
}

// workloadToken makes a token for a service, and the resource that tells the edge of it.
func (h *hub) workloadToken(service string) (identity.Token, *feedpb.Resource) {
	h.t.Helper()
	token := identity.NewToken(service, []string{"e1:15012"}, h.Root.Certificate())
	return token, resource(h.t, "JoinToken//"+service, &feedpb.Token{Name: service, SecretSha256: token.SecretSHA256(),
		Expires: timestamppb.New(time.Now().Add(time.Hour)), Role: "workload", Workspace: "shop", Service: service})
}

func resource(t *testing.T, name string, body proto.Message) *feedpb.Resource {
	t.Helper()
	any, err := anypb.New(body)
	Check(t, err)
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(body)
	Check(t, err)
	return &feedpb.Resource{Name: name, Version: fmt.Sprintf("%x", raw), Body: any}
}

// zoneInfo is what every zone has.
func zoneInfo(t *testing.T) *feedpb.Resource {
	return resource(t, "Zone//dc1", &feedpb.ZoneInfo{Name: "dc1", Region: "r1"})
}

// agent is a joined workload.
type agent struct {
	t     *testing.T
	peer  *Peer
	name  string
	node  string
	said  grpc.BidiStreamingClient[machinepb.AttendRequest, machinepb.AttendResponse]
	heard *machinepb.AttendResponse // last
}

// join exchanges a token for a certificate.
func (h *hub) join(at string, token identity.Token) *agent {
	h.t.Helper()
	key := Key(h.t)
	r, err := machinepb.NewMachineClient(h.Dial(at, h.Nobody())).Join(h.t.Context(), &machinepb.JoinRequest{Token: token.String(), Csr: Request(h.t, key)})
	Check(h.t, err)
	return &agent{t: h.t, peer: h.With(key, r.Certificates)}
}

// attend registers the agent's workload at an address, healthy.
func (h *hub) attend(at string, a *agent, address string) {
	h.t.Helper()
	stream, err := machinepb.NewMachineClient(h.Dial(at, a.peer)).Attend(h.t.Context())
	Check(h.t, err)
	Check(h.t, stream.Send(&machinepb.AttendRequest{Health: &machinepb.Health{Healthy: true}, Workload: &machinepb.Workload{
		Instance: fmt.Sprintf("%x", "instance "+address), Addresses: []string{address}, Version: "v1",
		Ports: []*machinepb.Port{{Port: 9080, Protocol: "http"}}, Capture: machinepb.Capture_REDIRECT,
	}}))
	r, err := stream.Recv()
	Check(h.t, err)
	a.said, a.heard, a.name, a.node = stream, r, r.Workload, r.NodeId
}

package roster_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/edge/admission"
	. "github.com/isthmus-mesh/isthmus/edge/internal/zonetest"
	"github.com/isthmus-mesh/isthmus/edge/journal"
	"github.com/isthmus-mesh/isthmus/edge/roster"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// zone is a served roster and what it published.
type zone struct {
	*Zone
	*roster.Roster
	t       *testing.T
	address string
	path    string
	stop    func()

	mu        sync.Mutex
	published map[string]*roster.Workload
	calls     int
	reports   []*feedpb.ReportRequest
	saved     error
	settle    func(context.Context) error
	reachable map[string]bool
	refusing  map[string]bool
	probed    map[string]int
	answerTo  map[string]int // from the how many-th probe on a silent address answers
	now       func() time.Time
	federated []*machinepb.TrustDomain
}

// service is what gRPC serves.
type service struct {
	machinepb.UnimplementedMachineServer
	roster *roster.Roster
}

func (s service) Attend(stream grpc.BidiStreamingServer[machinepb.AttendRequest, machinepb.AttendResponse]) error {
	return s.roster.Attend(stream)
}

func newZone(t *testing.T) *zone {
	t.Helper()
	z := &zone{Zone: New(t), t: t, path: filepath.Join(t.TempDir(), "workloads"), now: time.Now}
	z.start()
	return z
}

// start begins a new process, so to speak: only the file is old.
func (z *zone) start() {
	z.t.Helper()
	j, err := journal.Open(z.path)
	Check(z.t, err)
	z.published, z.reachable, z.refusing = map[string]*roster.Workload{}, map[string]bool{}, map[string]bool{}
	z.probed, z.answerTo = map[string]int{}, map[string]int{}
	z.settle = func(context.Context) error { return nil }
	z.Roster, err = roster.New(roster.Config{
		Zone: admission.Zone{Name: "dc1", TrustDomain: Domain}, Journal: j, Publish: z.publish,
		NodeID:    func(w *roster.Workload) string { return "node of " + w.Name },
		Settle:    func(ctx context.Context) error { return z.settle(ctx) },
		Report:    func(r *feedpb.ReportRequest) { z.mu.Lock(); defer z.mu.Unlock(); z.reports = append(z.reports, r) },
		Saved:     func(err error) { z.mu.Lock(); defer z.mu.Unlock(); z.saved = err },
		Edges:     func() []string { return []string{"e1:15012"} },
		Federated: func() []*machinepb.TrustDomain { z.mu.Lock(); defer z.mu.Unlock(); return z.federated },
		Lease:     lease, Forget: 50 * time.Millisecond, Probe: z.probe, Now: z.now,
		Refusals: admission.NewRefusals(Log(z.t), nil), Log: Log(z.t), Metrics: prometheus.NewRegistry(),
	})
	Check(z.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = z.Run(ctx) }()
	z.stop = sync.OnceFunc(func() { cancel(); <-done; j.Close() })
	z.t.Cleanup(z.stop)
	z.address = z.Serve(func(s *grpc.Server) { machinepb.RegisterMachineServer(s, service{roster: z.Roster}) })
}

func (z *zone) publish(upserts []*roster.Workload, gone []string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.calls++
	for _, w := range upserts {
		z.published[w.Name] = w
	}
	for _, name := range gone {
		delete(z.published, name)
	}
}

func (z *zone) probe(_ context.Context, address string) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.probed[address]++
	switch {
	case z.refusing[address]:
		return fmt.Errorf("dial: %w", syscall.ECONNREFUSED)
	case z.answerTo[address] > z.probed[address] || !z.reachable[address]:
		return errors.New("no answer")
	}
	return nil
}

// proxies is the workload as proxies have it; nil for none.
func (z *zone) proxies(name string) *roster.Workload {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.published[name]
}

func (z *zone) is(name string, healthy bool) func() bool {
	return func() bool { w := z.proxies(name); return w != nil && w.Healthy == healthy }
}

// agent is an attending workload.
type agent struct {
	t      *testing.T
	stream grpc.BidiStreamingClient[machinepb.AttendRequest, machinepb.AttendResponse]
	hangUp func()
	first  *machinepb.AttendResponse
}

const lease = 20 * time.Millisecond

const instance = "0123456789abcdef"

func registration() *machinepb.Workload {
	return &machinepb.Workload{Instance: instance, Version: "v2", Host: "m1", Addresses: []string{"10.0.0.1"},
		Ports: []*machinepb.Port{{Port: 9080, Protocol: "http"}}, Labels: map[string]string{"team": "a"}, Capture: machinepb.Capture_REDIRECT}
}

// dial attends without saying anything yet.
func (z *zone) dial(as *Peer) *agent {
	z.t.Helper()
	c := z.Dial(z.address, as)
	ctx, cancel := context.WithCancel(z.t.Context())
	stream, err := machinepb.NewMachineClient(c).Attend(ctx)
	Check(z.t, err)
	z.t.Cleanup(cancel)
	return &agent{t: z.t, stream: stream, hangUp: cancel}
}

func (z *zone) attend(as *Peer, w *machinepb.Workload) *agent {
	z.t.Helper()
	a := z.dial(as)
	a.say(&machinepb.AttendRequest{Workload: w, Health: &machinepb.Health{Healthy: true}})
	a.first = a.hear()
	return a
}

func (a *agent) say(r *machinepb.AttendRequest) { a.t.Helper(); Check(a.t, a.stream.Send(r)) }

func (a *agent) hear() *machinepb.AttendResponse {
	a.t.Helper()
	r, err := a.stream.Recv()
	Check(a.t, err)
	return r
}

func TestAttend(t *testing.T) {
	z := newZone(t)
	a := z.attend(z.Workload("shop", "reviews"), registration())
	name := a.first.Workload
	if !strings.HasPrefix(name, "reviews-") || a.first.NodeId != "node of "+name || a.first.Edges[0] != "e1:15012" || a.first.Lease == nil || a.first.Warning != "" {
		t.Errorf("first answer %v", a.first)
	}
	// The answer comes after the proxies' side knows the workload: nothing to wait for.
	w := z.proxies(name)
	if w == nil || !w.Healthy || w.Workspace != "shop" || w.Service != "reviews" || w.Role != admission.RoleWorkload || !proto.Equal(w.Registration, registration()) {
		t.Fatalf("published %+v", w)
	}
	a.say(&machinepb.AttendRequest{Health: &machinepb.Health{Healthy: false, Reason: "GET / answers 500"}})
	Eventually(t, "unhealthy", z.is(name, false))
	if w := z.proxies(name); w.Reason != "GET / answers 500" {
		t.Errorf("reason %q", w.Reason)
	}
	changed := registration()
	changed.Version = "v3"
	a.say(&machinepb.AttendRequest{Workload: changed})
	a.hear()
	if w := z.proxies(name); w.Registration.Version != "v3" || w.Healthy {
		t.Errorf("after a change of version: %+v", w)
	}
}

func TestHealthUnknownIsUnhealthy(t *testing.T) {
	z := newZone(t)
	a := z.dial(z.Workload("shop", "reviews"))
	a.say(&machinepb.AttendRequest{Workload: registration()})
	if w := z.proxies(a.hear().Workload); w.Healthy || w.Reason == "" {
		t.Errorf("published %+v before its agent said that it is healthy", w)
	}
}

func TestGatewayNeedsNoPort(t *testing.T) {
	z := newZone(t)
	w := registration()
	w.Ports = nil
	a := z.attend(z.Workload("shop", "ingress", "gateway.role.isthmus.dev"), w)
	if a.first.Warning != "" {
		t.Errorf("warning %q, but the Gateway says what it listens on", a.first.Warning)
	}
}

func TestReports(t *testing.T) {
	z := newZone(t)
	a := z.attend(z.Workload("shop", "ingress", "gateway.role.isthmus.dev"), registration())
	all := z.Inventory()
	if len(all) != 1 || all[0].Name != a.first.Workload || all[0].Role != "gateway" || !all[0].Connected || all[0].Ports[0].Protocol != "http" {
		t.Errorf("inventory %v", all)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if len(z.reports) == 0 || !proto.Equal(z.reports[0].Workloads[0], all[0]) {
		t.Errorf("reports %v", z.reports)
	}
}

func TestRestartServesTheSame(t *testing.T) {
	z := newZone(t)
	web := registration()
	web.Instance, web.Addresses = "ffffffffffffffff", []string{"10.0.0.2"}
	a, b := z.attend(z.Workload("shop", "reviews"), registration()), z.attend(z.Workload("shop", "web"), web)
	b.say(&machinepb.AttendRequest{Health: &machinepb.Health{Reason: "down"}})
	Eventually(t, "unhealthy", z.is(b.first.Workload, false))
	z.stop()
	z.start()
	<-z.Flushed()
	if w := z.proxies(a.first.Workload); w == nil || !w.Healthy || w.Connected || !proto.Equal(w.Registration, registration()) {
		t.Errorf("after the restart: %+v", w)
	}
	if w := z.proxies(b.first.Workload); w == nil || w.Healthy || w.Reason != "down" {
		t.Errorf("after the restart: %+v", w)
	}
	before := z.calls
	again := z.attend(z.Workload("shop", "reviews"), registration())
	if again.first.Workload != a.first.Workload || z.calls != before {
		t.Errorf("an agent that came back unchanged is %s and caused %d pushes", again.first.Workload, z.calls-before)
	}
}

func TestLease(t *testing.T) {
	z := newZone(t)
	a := z.attend(z.Workload("shop", "reviews"), registration())
	name := a.first.Workload
	z.mu.Lock()
	z.reachable["10.0.0.1:9080"] = true
	z.mu.Unlock()
	a.hangUp()
	connected := func() bool { return z.All()[0].Connected }
	Eventually(t, "hung up", func() bool { return !connected() })
	if !z.is(name, true)() {
		t.Error("the end of a stream made the workload unhealthy")
	}
	z.mu.Lock()
	z.reachable["10.0.0.1:9080"] = false
	z.mu.Unlock()
	Eventually(t, "unreachable", z.is(name, false))
	z.mu.Lock()
	z.reachable["10.0.0.1:9080"] = true
	z.mu.Unlock()
	Eventually(t, "reachable again", z.is(name, true))
	z.mu.Lock()
	z.reachable["10.0.0.1:9080"] = false
	z.mu.Unlock()
	Eventually(t, "unreachable again", z.is(name, false))
	back := z.attend(z.Workload("shop", "reviews"), registration())
	if w := z.proxies(name); !w.Healthy || !connected() {
		t.Errorf("its agent is back, yet %+v", w)
	}
	back.hangUp()
	Eventually(t, "forgotten", func() bool { return z.proxies(name) == nil && len(z.All()) == 0 })
}

func TestWorkloadWithoutPortIsForgottenToo(t *testing.T) {
	z := newZone(t)
	w := registration()
	w.Ports = nil
	a := z.attend(z.Workload("shop", "batch"), w)
	if a.first.Warning == "" {
		t.Error("no warning although nobody can call the workload")
	}
	a.hangUp()
	Eventually(t, "lost", z.is(a.first.Workload, false))
	Eventually(t, "forgotten", func() bool { return len(z.All()) == 0 })
}

func TestLeave(t *testing.T) {
	z := newZone(t)
	asked := make(chan bool, 1)
	z.settle = func(context.Context) error {
		var all []*roster.Workload
		z.mu.Lock()
		all = slices.Collect(maps.Values(z.published))
		z.mu.Unlock()
		asked <- len(all) == 1 && !all[0].Healthy
		return nil
	}
	a := z.attend(z.Workload("shop", "reviews"), registration())
	a.say(&machinepb.AttendRequest{Leave: true})
	if r := a.hear(); !r.Left || r.Warning != "" {
		t.Errorf("answer %v", r)
	}
	if !<-asked {
		t.Error("callers were asked before the workload was out of service")
	}
	if z.proxies(a.first.Workload) == nil {
		t.Error("the leaving workload's own proxy lost its configuration")
	}
	a.hangUp()
	Eventually(t, "gone", func() bool { return z.proxies(a.first.Workload) == nil && len(z.All()) == 0 })
	z.stop()
	z.start()
	if n := len(z.All()); n != 0 {
		t.Errorf("%d workloads after the restart", n)
	}
}

func TestLeaveDoesNotWaitForever(t *testing.T) {
	z := newZone(t)
	z.settle = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	a := z.attend(z.Workload("shop", "reviews"), registration())
	a.say(&machinepb.AttendRequest{Leave: true})
	if r := a.hear(); !r.Left || r.Warning == "" {
		t.Errorf("answer %v, want left with a warning", r)
	}
}

func TestNewestStreamWins(t *testing.T) {
	z := newZone(t)
	me := z.Workload("shop", "reviews")
	old := z.attend(me, registration())
	now := z.attend(me, registration())
	old.say(&machinepb.AttendRequest{Health: &machinepb.Health{Healthy: false}})
	if _, err := old.stream.Recv(); status.Code(err) != codes.Aborted {
		t.Errorf("the old stream got %v, want Aborted", err)
	}
	if w := z.All()[0]; !w.Connected || !w.Healthy {
		t.Errorf("the old stream changed the workload: %+v", w)
	}
	now.say(&machinepb.AttendRequest{Health: &machinepb.Health{Healthy: false}})
	Eventually(t, "the new stream's word", z.is(now.first.Workload, false))
}

func TestRefusals(t *testing.T) {
	z := newZone(t)
	z.attend(z.Workload("shop", "reviews"), registration())
	change := func(f func(*machinepb.Workload)) *machinepb.Workload {
		w := registration()
		f(w)
		return w
	}
	mine, reviews := z.Workload("shop", "web"), z.Workload("shop", "reviews")
	cases := map[string]struct {
		from *Peer
		w    *machinepb.Workload
		code codes.Code
		want problem.Problem
	}{
		"Nobody":          {z.Nobody(), registration(), codes.Unauthenticated, problem.PeerUntrusted},
		"OtherZone":       {z.Other("dc2").Workload("shop", "reviews"), registration(), codes.PermissionDenied, problem.WorkloadUnknown},
		"Edge":            {z.Edge("dc1", "e2"), registration(), codes.PermissionDenied, problem.IdentityRefused},
		"OthersInstance":  {mine, registration(), codes.PermissionDenied, problem.InstanceTaken},
		"NoWorkload":      {reviews, nil, codes.InvalidArgument, problem.RegistrationInvalid},
		"ShortInstance":   {reviews, change(func(w *machinepb.Workload) { w.Instance = "00" }), codes.InvalidArgument, problem.RegistrationInvalid},
		"BadVersion":      {reviews, change(func(w *machinepb.Workload) { w.Version = "v 2" }), codes.InvalidArgument, problem.RegistrationInvalid},
		"NoAddress":       {reviews, change(func(w *machinepb.Workload) { w.Addresses = nil }), codes.InvalidArgument, problem.RegistrationInvalid},
		"BadAddress":      {reviews, change(func(w *machinepb.Workload) { w.Addresses[0] = "0.0.0.0" }), codes.InvalidArgument, problem.RegistrationInvalid},
		"BadPort":         {reviews, change(func(w *machinepb.Workload) { w.Ports[0].Port = 70000 }), codes.InvalidArgument, problem.RegistrationInvalid},
		"NoProtocol":      {reviews, change(func(w *machinepb.Workload) { w.Ports[0].Protocol = "" }), codes.InvalidArgument, problem.RegistrationInvalid},
		"SamePortTwice":   {reviews, change(func(w *machinepb.Workload) { w.Ports = append(w.Ports, w.Ports[0]) }), codes.InvalidArgument, problem.RegistrationInvalid},
		"ReservedLabel":   {reviews, change(func(w *machinepb.Workload) { w.Labels["isthmus.dev/service"] = "vault" }), codes.InvalidArgument, problem.RegistrationInvalid},
		"BadLabel":        {reviews, change(func(w *machinepb.Workload) { w.Labels["a b"] = "" }), codes.InvalidArgument, problem.RegistrationInvalid},
		"BadUpstream":     {reviews, change(func(w *machinepb.Workload) { w.Upstreams = []*machinepb.Upstream{{Host: "x", Port: 1, Listen: "x"}} }), codes.InvalidArgument, problem.RegistrationInvalid},
		"BadHTTPProxy":    {reviews, change(func(w *machinepb.Workload) { w.HttpProxy = "localhost" }), codes.InvalidArgument, problem.RegistrationInvalid},
		"TooManyLabels":   {reviews, change(func(w *machinepb.Workload) { fill(w.Labels, 65) }), codes.InvalidArgument, problem.RegistrationInvalid},
		"EndlessHostName": {reviews, change(func(w *machinepb.Workload) { w.Host = strings.Repeat("x", 300) }), codes.InvalidArgument, problem.RegistrationInvalid},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := z.dial(c.from)
			_ = a.stream.Send(&machinepb.AttendRequest{Workload: c.w})
			_, err := a.stream.Recv()
			if status.Code(err) != c.code || !strings.Contains(err.Error(), c.want.Code) {
				t.Errorf("got %v, want %s with %s", err, c.code, c.want.Code)
			}
		})
	}
	if n := len(z.All()); n != 1 {
		t.Errorf("%d workloads after the refusals, want the first only", n)
	}
}

func fill(labels map[string]string, n int) {
	for i := range n {
		labels[fmt.Sprint("l", i)] = ""
	}
}

func TestBadChangeKeepsTheRegistration(t *testing.T) {
	z := newZone(t)
	a := z.attend(z.Workload("shop", "reviews"), registration())
	bad := registration()
	bad.Ports[0].Protocol = "gopher"
	a.say(&machinepb.AttendRequest{Workload: bad})
	if r := a.hear(); !strings.Contains(r.Warning, problem.RegistrationInvalid.Code) || !strings.Contains(r.Warning, "gopher") {
		t.Errorf("warning %q", r.Warning)
	}
	other := registration()
	other.Instance = "eeeeeeeeeeeeeeee"
	a.say(&machinepb.AttendRequest{Workload: other})
	if r := a.hear(); !strings.Contains(r.Warning, problem.RegistrationInvalid.Code) {
		t.Errorf("warning %q", r.Warning)
	}
	if w := z.proxies(a.first.Workload); !proto.Equal(w.Registration, registration()) {
		t.Errorf("registration %v", w.Registration)
	}
}

func TestManyAgentsAtOnce(t *testing.T) {
	z := newZone(t)
	me := z.Workload("shop", "reviews")
	c := machinepb.NewMachineClient(z.Dial(z.address, me))
	var done sync.WaitGroup
	for i := range 200 {
		done.Go(func() {
			stream, err := c.Attend(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			w := registration()
			w.Instance = fmt.Sprintf("%016x", i)
			_ = stream.Send(&machinepb.AttendRequest{Workload: w, Health: &machinepb.Health{Healthy: true}})
			r, err := stream.Recv()
			if err != nil {
				t.Error(err)
			} else if z.proxies(r.Workload) == nil {
				t.Errorf("%s was answered before it was published", r.Workload)
			}
		})
	}
	done.Wait()
	z.mu.Lock()
	n := z.calls
	z.mu.Unlock()
	t.Logf("200 agents, %d pushes", n)
}

func TestDial(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	Check(t, err)
	Check(t, roster.Dial(t.Context(), l.Addr().String()))
	Check(t, l.Close())
	if roster.Dial(t.Context(), l.Addr().String()) == nil {
		t.Error("reached a closed port")
	}
}

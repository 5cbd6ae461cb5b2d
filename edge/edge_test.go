package edge_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/compiler/istio"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/edge"
	. "github.com/isthmus-mesh/isthmus/edge/internal/zonetest"
	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

const reviews = "outbound|9080||reviews.shop.mesh"

// shop is an edge with the workload web and, at 10.0.0.1, the workload reviews.
type shop struct {
	*hub
	dir          string
	edge         *running
	web, reviews *agent
	proxy        *proxy // of web
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{hub: newHub(t), dir: filepath.Join(t.TempDir(), "edge")}
	web, webResource := s.workloadToken("web")
	rev, revResource := s.workloadToken("reviews")
	s.publish(zoneInfo(t), webResource, revResource)
	s.edge = s.run(s.config(s.dir))
	s.web, s.reviews = s.join(s.edge.addr, web), s.join(s.edge.addr, rev)
	s.attend(s.edge.addr, s.web, "10.0.0.9")
	s.attend(s.edge.addr, s.reviews, "10.0.0.1")
	s.proxy = s.discover(s.edge.addr, s.web.peer, s.web.node)
	Eventually(t, "web calls reviews", s.proxy.calls(reviews, "10.0.0.1"))
	return s
}

func TestEndpointsAreTheEdges(t *testing.T) {
	s := newShop(t)
	Check(t, s.reviews.said.Send(&machinepb.AttendRequest{Health: &machinepb.Health{Reason: "down"}}))
	Eventually(t, "unhealthy", s.proxy.calls(reviews))
	Check(t, s.reviews.said.Send(&machinepb.AttendRequest{Health: &machinepb.Health{Healthy: true}}))
	Eventually(t, "healthy", s.proxy.calls(reviews, "10.0.0.1"))
	Eventually(t, "reports", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		w := s.workloads[s.reviews.name]
		return w != nil && w.Healthy && w.Connected && w.Service == "reviews" && s.receipts[s.web.name] == s.revision
	})
	Check(t, s.reviews.said.Send(&machinepb.AttendRequest{Leave: true}))
	r, err := s.reviews.said.Recv()
	Check(t, err)
	if !r.Left || r.Warning != "" || !s.proxy.calls(reviews)() {
		t.Errorf("answer %v; callers must know before it is given", r)
	}
	Check(t, s.reviews.said.CloseSend())
	Eventually(t, "gone", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.workloads[s.reviews.name] == nil })
}

func TestHubAway(t *testing.T) {
	s := newShop(t)
	address := s.addr
	s.stop()
	Check(t, s.reviews.said.Send(&machinepb.AttendRequest{Health: &machinepb.Health{Reason: "down"}}))
	Eventually(t, "a change of health without the hub", s.proxy.calls(reviews))
	renewed, err := machinepb.NewMachineClient(s.Dial(s.edge.addr, s.web.peer)).Renew(t.Context(), &machinepb.RenewRequest{Csr: Request(t, s.web.peer.Key)})
	Check(t, err)
	if renewed.SpiffeId != "spiffe://isthmus.local/ns/shop/sa/web" {
		t.Errorf("renewed as %s", renewed.SpiffeId)
	}
	Check(t, s.reviews.said.Send(&machinepb.AttendRequest{Health: &machinepb.Health{Healthy: true}}))
	Eventually(t, "healthy", s.proxy.calls(reviews, "10.0.0.1"))
	s.edge.stop()

	again := s.config(s.dir)
	again.JoinToken = "" // not needed any more
	e := s.run(again)
	proxy := s.discover(e.addr, s.web.peer, s.web.node)
	Eventually(t, "the same endpoints from disk", proxy.calls(reviews, "10.0.0.1"))
	s.attend(e.addr, s.reviews, "10.0.0.1")

	s.start(address)
	s.publish(zoneInfo(t))
	Eventually(t, "reports to the hub that is back", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.workloads) == 2 && s.workloads[s.reviews.name].Connected
	})
}

func TestEveryFileIsPrivate(t *testing.T) {
	s := newShop(t)
	if info, err := os.Stat(s.dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v; want mode 0700", info, err)
	}
	for _, name := range []string{"credentials", "bundle", "tokens", "workloads"} {
		var info os.FileInfo
		Eventually(t, name+" on disk", func() bool {
			var err error
			info, err = os.Stat(filepath.Join(s.dir, name))
			return err == nil
		})
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", name, info.Mode())
		}
	}
}

func TestDiscoveryIsRefused(t *testing.T) {
	s := newShop(t)
	for name, c := range map[string]struct {
		as   *Peer
		node string
		code codes.Code
	}{
		"OtherService":   {s.web.peer, s.reviews.node, codes.PermissionDenied},
		"OtherZone":      {s.Other("dc2").Workload("shop", "web"), s.web.node, codes.PermissionDenied},
		"OtherZonesEdge": {s.Edge("dc2", "e1"), s.web.node, codes.PermissionDenied},
		"Nobody":         {s.Nobody(), s.web.node, codes.Unauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			p := s.discover(s.edge.addr, c.as, c.node)
			Eventually(t, "refusal", func() bool { return p.failed() != nil })
			if status.Code(p.failed()) != c.code {
				t.Errorf("got %v, want %s", p.failed(), c.code)
			}
		})
	}
}

func TestCertificatesAreRenewed(t *testing.T) {
	h := newHub(t)
	h.life = 3 * time.Second // half of it and of what is backdated is over at once
	h.publish(zoneInfo(t))
	e := h.run(h.config(t.TempDir()))
	Eventually(t, "renewals", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.admitted > 2 })
	h.mu.Lock()
	h.life = time.Hour
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	Eventually(t, "a new certificate on the same port", func() bool {
		_, err := machinepb.NewMachineClient(h.Dial(e.addr, h.Nobody())).Renew(ctx, &machinepb.RenewRequest{})
		return status.Code(err) == codes.Unauthenticated // the connection was made, so the certificate is valid
	})
}

func TestStartIsRefused(t *testing.T) {
	h := newHub(t)
	tampered := h.token
	tampered.Secret += "x"
	used := h.config(t.TempDir())
	h.key = strings.Repeat("0", 64) // of somebody else
	wrong := h.config(t.TempDir())
	wrong.JoinToken = tampered.String()
	stranger := h.config(t.TempDir())
	stranger.JoinToken = identity.NewToken("dc1-edge", []string{h.addr}, New(t).Root.Certificate()).String()
	cases := map[string]struct {
		config edge.Config
		want   string
	}{
		"NoToken":  {edge.Config{DataDir: t.TempDir(), Listen: "127.0.0.1:0", Log: Log(t)}, problem.TokenMalformed.Code},
		"Tampered": {wrong, problem.TokenUnknown.Code},
		"Used":     {used, problem.TokenUsed.Code},
		"Stranger": {stranger, problem.PeerUntrusted.Code},
		"NoPort":   {edge.Config{DataDir: t.TempDir(), Listen: h.addr, Log: Log(t)}, "cannot listen on " + h.addr},
		"NoConfig": {edge.Config{}, "needs a data directory"},
		"TooLong":  {edge.Config{DataDir: t.TempDir(), Listen: "127.0.0.1:0", Log: Log(t), CertificateTTL: 25 * time.Hour}, "cannot live 25h"},
		"TooShort": {edge.Config{DataDir: t.TempDir(), Listen: "127.0.0.1:0", Log: Log(t), CertificateTTL: time.Second}, "cannot live 1s"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if err := edge.Run(t.Context(), c.config); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestOneDirectoryOneEdgeOneMesh(t *testing.T) {
	h := newHub(t)
	h.publish(zoneInfo(t))
	dir := t.TempDir()
	e := h.run(h.config(dir))
	if err := edge.Run(t.Context(), h.config(dir)); err == nil || !strings.Contains(err.Error(), "another edge runs from") {
		t.Errorf("a second edge in the same directory: %v", err)
	}
	e.stop()
	config := h.config(dir)
	config.JoinToken = identity.NewToken("x", []string{h.addr}, New(t).Root.Certificate()).String()
	if err := edge.Run(t.Context(), config); err == nil || !strings.Contains(err.Error(), "another mesh") {
		t.Errorf("a token of another mesh: %v", err)
	}
}

func TestHubReplacesNewbornService(t *testing.T) {
	s := newShop(t) // its services have no resources of the hub
	service := plan.NewService("shop", "reviews", []plan.Port{{Number: 80, Protocol: plan.HTTP, Target: 9080}, {Number: 9080, Protocol: plan.HTTP}})
	further := "outbound|80||reviews.shop.mesh"
	s.publish(istio.ServiceResource(service, "240.1.2.3"))
	Eventually(t, "the hub's form", s.proxy.calls(further, "10.0.0.1"))
	s.mu.Lock()
	s.revision++
	revision := s.revision
	s.mu.Unlock()
	Check(t, s.feed.Publish("dc1", revision, time.Now(), nil, []string{"ServiceEntry/shop/reviews"}))
	Eventually(t, "the hub's form gone", func() bool { return !s.proxy.knows(further) })
	Eventually(t, "the edge's form", s.proxy.calls(reviews, "10.0.0.1"))
	Check(t, s.reviews.said.Send(&machinepb.AttendRequest{Leave: true}))
	_, err := s.reviews.said.Recv()
	Check(t, err)
	Check(t, s.reviews.said.CloseSend())
	Eventually(t, "the service gone with its last workload", func() bool { return !s.proxy.knows(reviews) })
}

// TestStopsInTheMiddle stops edges that are being given revisions: each must end, and soon.
func TestStopsInTheMiddle(t *testing.T) {
	s := newShop(t)
	busy, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-busy:
				return
			default:
				_, token := s.workloadToken(fmt.Sprint("w", i%10))
				service := plan.NewService("shop", "reviews", []plan.Port{{Number: int32(80 + i%2), Protocol: plan.HTTP, Target: 9080}})
				s.publish(token, istio.ServiceResource(service, "240.1.2.3"))
			}
		}
	}()
	for range 5 {
		stopped := make(chan struct{})
		go func() { defer close(stopped); s.edge.stop() }()
		select {
		case <-stopped:
		case <-time.After(20 * time.Second):
			t.Fatal("the edge does not end")
		}
		s.edge = s.run(s.config(s.dir))
	}
	close(busy)
	<-done
}

func TestStatus(t *testing.T) {
	h := newHub(t)
	config := h.config(t.TempDir())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	Check(t, err)
	config.StatusListen = l.Addr().String()
	Check(t, l.Close())
	get := func(path string) (int, string) {
		r, err := http.Get("http://" + config.StatusListen + path)
		if err != nil {
			return 0, err.Error()
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		Check(t, err)
		return r.StatusCode, string(body)
	}
	answers := func(path string, code int, word string) func() bool {
		return func() bool { c, body := get(path); return c == code && strings.Contains(body, word) }
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- edge.Run(ctx, config) }()
	Eventually(t, "alive, not ready", answers("/readyz", 503, "waits for its first configuration"))
	h.publish(zoneInfo(t))
	Eventually(t, "ready", answers("/readyz", 200, "ready"))
	Eventually(t, "healthy", answers("/healthz", 200, "ok"))
	Eventually(t, "metrics", answers("/metrics", 200, "isthmus_edge_workloads 0"))
	h.stop()
	Eventually(t, "the hub is away", answers("/healthz", 200, problem.HubAway.Code))
	cancel()
	Check(t, <-done)
}

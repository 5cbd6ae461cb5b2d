package pilot

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
)

const trustDomain = "isthmus.local"

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// world is a zone's edge as far as proxies can see it: a Pilot behind mutual TLS.
type world struct {
	t         testing.TB
	pilot     *Pilot
	events    *recorder
	address   string
	authority *identity.Authority
	dir       string
	system    []byte // authorities that machines trust by themselves
	stop      func()
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return worldIn(t, t.TempDir())
}

func worldIn(t testing.TB, dir string) *world {
	t.Helper()
	key, err := identity.NewKey()
	check(t, err)
	authority, err := identity.NewRoot(trustDomain, key, time.Now)
	check(t, err)
	w := &world{t: t, events: newRecorder(), authority: authority, dir: dir}
	w.pilot, err = New(Config{
		Zone: "dc1", TrustDomain: trustDomain, Dir: dir, Events: w.events,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	check(t, err)
	w.serve()
	return w
}

func (w *world) serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(w.t, err)
	w.address = listener.Addr().String()
	source := w.peer(identity.Edge(trustDomain, "dc1", "edge-1"))
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(identity.ServerTLS(source, time.Now))))
	w.pilot.Register(server)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { check(w.t, w.pilot.Run(ctx)) })
	running.Go(func() { check(w.t, server.Serve(listener)) })
	w.stop = sync.OnceFunc(func() {
		server.Stop()
		cancel()
		running.Wait()
	})
	w.t.Cleanup(w.stop)
}

// peer is somebody with a certificate for the identity.
func (w *world) peer(id identity.ID) party {
	w.t.Helper()
	key, err := identity.NewKey()
	check(w.t, err)
	csr, err := identity.NewRequest(key)
	check(w.t, err)
	chain, err := w.authority.Sign(csr, id, time.Hour, nil, nil)
	check(w.t, err)
	cert, err := identity.Chain(key, chain)
	check(w.t, err)
	return party{cert, w.authority.Roots()}
}

type party struct {
	cert  *tls.Certificate
	roots []*x509.Certificate
}

func (p party) Certificate() *tls.Certificate { return p.cert }
func (p party) Roots() []*x509.Certificate    { return p.roots }

// recorder remembers events.
type recorder struct {
	mu       sync.Mutex
	cond     *sync.Cond
	receipts map[string]int64
	gone     []string
	rejected []*feedpb.Rejection
}

func newRecorder() *recorder {
	r := &recorder{receipts: map[string]int64{}}
	r.cond = sync.NewCond(&r.mu)
	return r
}

func (r *recorder) Receipt(revision int64, proxies []string) {
	r.record(func() {
		for _, p := range proxies {
			r.receipts[p] = revision
		}
	})
}

func (r *recorder) Gone(proxy string) { r.record(func() { r.gone = append(r.gone, proxy) }) }

func (r *recorder) Rejected(rejection *feedpb.Rejection) {
	r.record(func() { r.rejected = append(r.rejected, rejection) })
}

func (r *recorder) record(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	r.cond.Broadcast()
}

// await waits until the condition, which may look at the recorder, holds.
func (r *recorder) await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	awaitOn(t, r.cond, what, condition)
}

// awaitOn waits on a condition variable, with patience.
func awaitOn(t testing.TB, cond *sync.Cond, what string, condition func() bool) {
	t.Helper()
	late := false
	timer := time.AfterFunc(patience, func() {
		cond.L.Lock()
		defer cond.L.Unlock()
		late = true
		cond.Broadcast()
	})
	defer timer.Stop()
	cond.L.Lock()
	defer cond.L.Unlock()
	for !condition() {
		if late {
			t.Fatalf("waited in vain: %s", what)
		}
		cond.Wait()
	}
}

func (w *world) awaitReceipt(proxy string, revision int64) {
	w.t.Helper()
	w.events.await(w.t, fmt.Sprintf("receipt of revision %d by %s", revision, proxy), func() bool {
		return w.events.receipts[proxy] >= revision
	})
}

// apply sends a revision that must be without fault.
func (w *world) apply(revision int64, resources ...*feedpb.Resource) {
	w.t.Helper()
	check(w.t, w.pilot.Apply(revision, resources, nil))
}

// pack makes a resource; the version is what the caller says.
func pack(t testing.TB, name, version string, m proto.Message) *feedpb.Resource {
	t.Helper()
	body, err := anypb.New(m)
	check(t, err)
	return &feedpb.Resource{
		Name: name, Version: version, Body: body,
		Origins: []*feedpb.Origin{{Kind: "HTTPRoute", Namespace: "shop", Name: "origin-of-" + name}},
	}
}

// shopService is the ServiceEntry the compiler makes of a service with one port.
func shopService(t testing.TB, name, address string, number uint32, protocol string) *feedpb.Resource {
	return pack(t, "ServiceEntry/shop/"+name, "1", &networking.ServiceEntry{
		Hosts: []string{name + ".shop.mesh"}, Addresses: []string{address},
		Location: networking.ServiceEntry_MESH_INTERNAL, Resolution: networking.ServiceEntry_STATIC,
		Ports:            []*networking.ServicePort{{Number: number, Name: "main", Protocol: protocol}},
		WorkloadSelector: &networking.WorkloadSelector{Labels: map[string]string{plan.LabelService: name}},
	})
}

// shopScope is what workloads of the shop see.
func shopScope(t testing.TB) *feedpb.Resource {
	return pack(t, "Sidecar/shop/default", "1", &networking.Sidecar{
		Egress: []*networking.IstioEgressListener{{Hosts: []string{"shop/reviews.shop.mesh", "shop/ratings.shop.mesh", "shop/ledger.shop.mesh"}}},
	})
}

// reviewsRoute sends requests for reviews to ratings when their path matches.
func reviewsRoute(t testing.TB, version, regex string) *feedpb.Resource {
	return pack(t, "VirtualService/shop/reviews", version, &networking.VirtualService{
		Hosts: []string{"reviews.shop.mesh"},
		Http: []*networking.HTTPRoute{{
			Match: []*networking.HTTPMatchRequest{{Uri: &networking.StringMatch{MatchType: &networking.StringMatch_Regex{Regex: regex}}}},
			Route: []*networking.HTTPRouteDestination{{Destination: &networking.Destination{
				Host: "ratings.shop.mesh", Port: &networking.PortSelector{Number: 9080},
			}}},
		}, {
			Route: []*networking.HTTPRouteDestination{{Destination: &networking.Destination{
				Host: "reviews.shop.mesh", Port: &networking.PortSelector{Number: 9080},
			}}},
		}},
	})
}

func sidecar(service, name, address string) Workload {
	return Workload{
		Name: name, Workspace: "shop", Service: service, Version: "v1", Role: Sidecar,
		Addresses: []string{address}, Ports: []Port{{Port: 9080, Protocol: "http"}}, Healthy: true, Capture: Redirect,
	}
}

// shop is a small world: two services, each with a workload.
func shop(t testing.TB) *world {
	w := newWorld(t)
	w.furnish()
	return w
}

func (w *world) furnish() {
	w.pilot.SetWorkloads([]Workload{sidecar("reviews", "reviews-1", "10.0.0.1"), sidecar("ratings", "ratings-1", "10.0.0.2")}, nil)
	w.apply(1, shopScope(w.t), shopService(w.t, "reviews", "240.0.0.1", 9080, "HTTP"), shopService(w.t, "ratings", "240.0.0.2", 9080, "HTTP"))
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func idOf(w Workload) identity.ID { return identity.Workload(trustDomain, w.Workspace, w.Service) }

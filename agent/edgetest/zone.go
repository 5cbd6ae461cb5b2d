// Package edgetest is a zone for tests of the agent: an authority, tokens, and edges that keep
// workloads and serve Envoy's configuration as the real ones do, with knobs to break them. What
// the edges know belongs to the [Zone], as if they had told each other.
//
// All methods may be called from any goroutine.
package edgetest

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// Names of everything in the zone.
const (
	TrustDomain = "isthmus.local"
	ZoneName    = "dc1"
	Workspace   = "shop"
	Service     = "reviews"
)

// Zone is what all edges of the zone share.
type Zone struct {
	t         testing.TB
	root      *identity.Authority
	authority *identity.Authority
	// TTL of certificates.
	TTL time.Duration

	mu        sync.Mutex // guards the rest
	moved     chan struct{}
	edges     []*Edge
	tokens    map[string]token
	workload  *machinepb.Workload
	health    *machinepb.Health
	ills      int
	left      bool
	nodeID    string
	resources map[string]map[string]*discovery.Resource
	rejected  map[string]string
	accepted  map[string]map[string]string
	sent      int
	renewals  int
	streams   map[*adsStream]bool
}

type token struct {
	token identity.Token
	role  string
	key   string
}

// New makes a zone without edges.
func New(t testing.TB) *Zone {
	z := &Zone{
		t: t, TTL: time.Hour, moved: make(chan struct{}), tokens: map[string]token{},
		nodeID:    "sidecar~127.0.0.1~reviews-1.shop~shop.mesh",
		resources: map[string]map[string]*discovery.Resource{}, rejected: map[string]string{},
		accepted: map[string]map[string]string{}, streams: map[*adsStream]bool{},
	}
	rootKey, zoneKey := newKey(t), newKey(t)
	var err error
	if z.root, err = identity.NewRoot(TrustDomain, rootKey, time.Now); err != nil {
		t.Fatal(err)
	}
	csr, err := identity.NewRequest(zoneKey)
	check(t, err)
	ders, err := z.root.SignAuthority(csr, ZoneName, 24*time.Hour)
	check(t, err)
	chain, err := identity.ParseCertificates(ders)
	check(t, err)
	z.authority, err = identity.NewAuthority(TrustDomain, zoneKey, chain, z.root.Roots(), time.Now)
	check(t, err)
	return z
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := identity.NewKey()
	check(t, err)
	return key
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Root is the mesh's root certificate.
func (z *Zone) Root() *x509.Certificate { return z.root.Certificate() }

// Token makes a token for a role that admits at all edges started so far, or at addresses if any.
func (z *Zone) Token(name, role string, addresses ...string) string {
	z.mu.Lock()
	defer z.mu.Unlock()
	if len(addresses) == 0 {
		addresses = z.addresses()
	}
	made := identity.NewToken(name, addresses, z.root.Certificate())
	z.tokens[name] = token{token: made, role: role}
	return made.String()
}

func (z *Zone) addresses() []string {
	var addresses []string
	for _, e := range z.edges {
		addresses = append(addresses, e.Address)
	}
	return addresses
}

// change makes a change and wakes whoever waits for one.
func (z *Zone) change(f func()) {
	z.mu.Lock()
	defer z.mu.Unlock()
	f()
	close(z.moved)
	z.moved = make(chan struct{})
}

// Await waits until holds does, or fails the test.
func (z *Zone) Await(what string, holds func(View) bool) {
	z.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		z.mu.Lock()
		view, moved := z.view(), z.moved
		z.mu.Unlock()
		if holds(view) {
			return
		}
		select {
		case <-moved:
		case <-timeout:
			z.t.Fatalf("waited in vain for: %s\nthe zone sees %+v", what, view)
		}
	}
}

// View is what the zone sees of the machine.
type View struct {
	Workload *machinepb.Workload
	Health   *machinepb.Health
	// Ills counts how often the machine said it is unhealthy.
	Ills     int
	Left     bool
	Renewals int
	// Streams of configuration that are open.
	Streams int
	// Accepted are versions by type and name; Rejected are texts by type.
	Accepted map[string]map[string]string
	Rejected map[string]string
	// Sent counts resources sent.
	Sent int
}

func (z *Zone) view() View {
	accepted := map[string]map[string]string{}
	for typeURL, versions := range z.accepted {
		accepted[typeURL] = maps.Clone(versions)
	}
	return View{
		z.workload, z.health, z.ills, z.left, z.renewals, len(z.streams), accepted, maps.Clone(z.rejected), z.sent,
	}
}

// View is what the zone sees now.
func (z *Zone) View() View {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.view()
}

// ForgetIlls sets the count of [View] back.
func (z *Zone) ForgetIlls() { z.change(func() { z.ills = 0 }) }

// Rename changes the name that the machine's Envoy is given.
func (z *Zone) Rename(nodeID string) { z.change(func() { z.nodeID = nodeID }) }

// Edge is one edge of the zone.
type Edge struct {
	Address string

	zone   *Zone
	name   string
	listen func(network, address string) (net.Listener, error)
	server *grpc.Server
	done   chan struct{}
}

// Start starts an edge on a free port. It is stopped when the test ends.
func (z *Zone) Start(name string) *Edge {
	z.t.Helper()
	return z.StartAt(name, "127.0.0.1:0", net.Listen)
}

// StartAt starts an edge at an address, on another host perhaps.
func (z *Zone) StartAt(name, address string, listen func(network, address string) (net.Listener, error)) *Edge {
	z.t.Helper()
	e := &Edge{zone: z, name: name, Address: address, listen: listen}
	e.Restart()
	z.t.Cleanup(e.Stop)
	z.change(func() { z.edges = append(z.edges, e) })
	return e
}

// Restart starts the edge again at the same address.
func (e *Edge) Restart() {
	e.zone.t.Helper()
	listener, err := e.listen("tcp", e.Address)
	check(e.zone.t, err)
	e.Address = listener.Addr().String()
	source := e.zone.certify(identity.Edge(TrustDomain, ZoneName, e.name))
	e.server = grpc.NewServer(grpc.Creds(credentials.NewTLS(identity.ServerTLS(source, time.Now))))
	machinepb.RegisterMachineServer(e.server, &machineServer{zone: e.zone})
	discovery.RegisterAggregatedDiscoveryServiceServer(e.server, &adsServer{zone: e.zone})
	e.done = make(chan struct{})
	server, done := e.server, e.done
	go func() { defer close(done); _ = server.Serve(listener) }()
}

// Stop breaks all connections of the edge, as its death would.
func (e *Edge) Stop() {
	e.server.Stop()
	<-e.done
}

type source struct {
	certificate *tls.Certificate
	roots       []*x509.Certificate
}

func (s source) Certificate() *tls.Certificate { return s.certificate }
func (s source) Roots() []*x509.Certificate    { return s.roots }

// Client is an HTTP client with a workload's certificate; one that keeps no connection makes a new one
// for every request.
func (z *Zone) Client(keep bool) *http.Client { return z.ClientOf(nil, keep) }

// ClientOf is a client that dials in its own way.
func (z *Zone) ClientOf(dial func(ctx context.Context, network, address string) (net.Conn, error), keep bool) *http.Client {
	own := z.certifyWorkload(identity.Workload(TrustDomain, Workspace, "web"))
	config := identity.ClientTLS(own, time.Now, func(id identity.ID) error {
		if id != identity.Workload(TrustDomain, Workspace, Service) {
			return fmt.Errorf("%s serves", id)
		}
		return nil
	})
	config.NextProtos = nil // HTTP/1.1
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: dial, TLSClientConfig: config, DisableKeepAlives: !keep}}
}

func (z *Zone) certifyWorkload(id identity.ID) source {
	z.t.Helper()
	key := newKey(z.t)
	csr, err := identity.NewRequest(key)
	check(z.t, err)
	ders, err := z.authority.Sign(csr, id, time.Hour, nil, nil)
	check(z.t, err)
	certificate, err := identity.Chain(key, ders)
	check(z.t, err)
	return source{certificate, z.root.Roots()}
}

// certify makes a certificate of an edge, which only the root may sign.
func (z *Zone) certify(id identity.ID) source {
	z.t.Helper()
	key := newKey(z.t)
	csr, err := identity.NewRequest(key)
	check(z.t, err)
	ders, err := z.root.Sign(csr, id, time.Hour, nil, nil)
	check(z.t, err)
	certificate, err := identity.Chain(key, ders)
	check(z.t, err)
	return source{certificate, z.root.Roots()}
}

// Certificate makes a certificate of a workload.
func (z *Zone) Certificate(id identity.ID) *tls.Certificate {
	z.t.Helper()
	return z.certifyWorkload(id).certificate
}

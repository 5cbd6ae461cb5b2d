// Package zonetest makes a zone's certificates and serves on loopback with them, for the tests of the
// edge's parts.
package zonetest

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/isthmus-mesh/isthmus/identity"
)

// Domain is the trust domain of all zones made here.
const Domain = "isthmus.local"

// Zone is a root with the authority of one zone, dc1 unless made by Other.
type Zone struct {
	t         testing.TB
	Root      *identity.Authority
	Authority *identity.Authority
}

// New makes a root and the zone dc1.
func New(t testing.TB) *Zone {
	t.Helper()
	root, err := identity.NewRoot(Domain, Key(t), time.Now)
	Check(t, err)
	return (&Zone{t: t, Root: root}).Other("dc1")
}

// Other makes another zone of the same mesh.
func (z *Zone) Other(name string) *Zone {
	z.t.Helper()
	key := Key(z.t)
	ders, err := z.Root.SignAuthority(Request(z.t, key), name, 48*time.Hour)
	Check(z.t, err)
	chain, err := identity.ParseCertificates(ders)
	Check(z.t, err)
	authority, err := identity.NewAuthority(Domain, key, chain, z.Root.Roots(), time.Now)
	Check(z.t, err)
	return &Zone{z.t, z.Root, authority}
}

// Peer is somebody with a certificate, or with none; it is an [identity.Source].
type Peer struct {
	Key   crypto.Signer
	Cert  *tls.Certificate
	roots []*x509.Certificate
}

// Certificate is the peer's.
func (p *Peer) Certificate() *tls.Certificate { return p.Cert }

// Roots are the mesh's.
func (p *Peer) Roots() []*x509.Certificate { return p.roots }

// Workload is a workload of the zone. names are DNS names in its certificate.
func (z *Zone) Workload(workspace, service string, names ...string) *Peer {
	z.t.Helper()
	return z.peer(z.Authority, identity.Workload(Domain, workspace, service), names)
}

// Edge is an edge of a zone.
func (z *Zone) Edge(zone, name string) *Peer {
	z.t.Helper()
	return z.peer(z.Root, identity.Edge(Domain, zone, name), nil)
}

// Nobody has a key and no certificate.
func (z *Zone) Nobody() *Peer { return &Peer{Key: Key(z.t), roots: z.Root.Roots()} }

func (z *Zone) peer(by *identity.Authority, id identity.ID, names []string) *Peer {
	z.t.Helper()
	key := Key(z.t)
	ders, err := by.Sign(Request(z.t, key), id, time.Hour, names, nil)
	Check(z.t, err)
	return z.With(key, ders)
}

// With is somebody with a certificate that was issued, DER, leaf first.
func (z *Zone) With(key crypto.Signer, ders [][]byte) *Peer {
	z.t.Helper()
	cert, err := identity.Chain(key, ders)
	Check(z.t, err)
	return &Peer{key, cert, z.Root.Roots()}
}

// Serve runs a gRPC server as an edge of dc1 until the test ends and returns its address.
func (z *Zone) Serve(register func(*grpc.Server)) string {
	z.t.Helper()
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(identity.ServerTLS(z.Edge("dc1", "e1"), time.Now))))
	register(server)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	Check(z.t, err)
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(l) }()
	z.t.Cleanup(func() { server.Stop(); <-served })
	return l.Addr().String()
}

// Dial connects to an edge as somebody.
func (z *Zone) Dial(address string, as *Peer) *grpc.ClientConn {
	z.t.Helper()
	config := identity.ClientTLS(as, time.Now, func(identity.ID) error { return nil })
	c, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	Check(z.t, err)
	z.t.Cleanup(func() { c.Close() })
	return c
}

// Log writes to the test's output.
func Log(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// Key makes a key.
func Key(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := identity.NewKey()
	Check(t, err)
	return key
}

// Request makes a request for a certificate.
func Request(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	csr, err := identity.NewRequest(key)
	Check(t, err)
	return csr
}

// Eventually waits for a condition, looking often.
func Eventually(t testing.TB, what string, condition func() bool) {
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

// Check ends the test on an error.
func Check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

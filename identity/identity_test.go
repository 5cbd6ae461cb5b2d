package identity_test

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/identity"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func clock() time.Time { return start }

// world is a root, a zone's intermediate and peers signed by it.
type world struct {
	t          *testing.T
	root, zone *identity.Authority
}

func newWorld(t *testing.T) world {
	t.Helper()
	key := newKey(t)
	root, err := identity.NewRoot("isthmus.local", key, clock)
	check(t, err)
	zoneKey := newKey(t)
	csr, err := identity.NewRequest(zoneKey)
	check(t, err)
	ders, err := root.SignAuthority(csr, "dc1", 24*time.Hour)
	check(t, err)
	chain, err := identity.ParseCertificates(ders)
	check(t, err)
	zone, err := identity.NewAuthority("isthmus.local", zoneKey, chain, root.Roots(), clock)
	check(t, err)
	return world{t, root, zone}
}

// peer is a certificate source for one identity.
type peer struct {
	cert  *tls.Certificate
	roots []*x509.Certificate
}

func (p peer) Certificate() *tls.Certificate { return p.cert }
func (p peer) Roots() []*x509.Certificate    { return p.roots }

func (w world) peer(a *identity.Authority, id identity.ID, ttl time.Duration) peer {
	w.t.Helper()
	key := newKey(w.t)
	csr, err := identity.NewRequest(key)
	check(w.t, err)
	ders, err := a.Sign(csr, id, ttl, nil, nil)
	check(w.t, err)
	cert, err := identity.Chain(key, ders)
	check(w.t, err)
	return peer{cert, a.Roots()}
}

func TestParseID(t *testing.T) {
	id, err := identity.ParseID("spiffe://isthmus.local/ns/shop/sa/reviews")
	check(t, err)
	if ws, svc, ok := id.AsWorkload(); !ok || ws != "shop" || svc != "reviews" {
		t.Errorf("AsWorkload = %q, %q, %v", ws, svc, ok)
	}
	if _, _, ok := id.AsEdge(); ok {
		t.Error("a workload's identity is taken for an edge's")
	}
	for _, bad := range []string{
		"", "https://isthmus.local/x", "spiffe:///ns/a/sa/b", "spiffe://td:80/x", "spiffe://u@td/x",
		"spiffe://td/a//b", "spiffe://td/a/../b", "spiffe://td/a?q", "spiffe://td/a#f", "spiffe://td/a%2fb", "spiffe://td",
	} {
		if id, err := identity.ParseID(bad); err == nil {
			t.Errorf("ParseID(%q) = %v, want an error", bad, id)
		}
	}
}

func TestNamesInRequestsAreIgnored(t *testing.T) {
	w, key := newWorld(t), newKey(t)
	evil := identity.Workload("isthmus.local", "bank", "vault")
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"hub"}}, key)
	check(t, err)
	ders, err := w.zone.Sign(csr, identity.Workload("isthmus.local", "shop", "web"), time.Hour, nil, nil)
	check(t, err)
	leaf, err := x509.ParseCertificate(ders[0])
	check(t, err)
	id, err := identity.OfCertificate(leaf)
	check(t, err)
	if id == evil || len(leaf.DNSNames) != 0 || id.String() != "spiffe://isthmus.local/ns/shop/sa/web" {
		t.Errorf("leaf says %v, DNS %v", id, leaf.DNSNames)
	}
}

func TestSignRefuses(t *testing.T) {
	w, key := newWorld(t), newKey(t)
	csr, err := identity.NewRequest(key)
	check(t, err)
	if _, err := w.zone.Sign(csr, identity.Workload("other.domain", "shop", "web"), time.Hour, nil, nil); err == nil {
		t.Error("signed for another trust domain")
	}
	if _, err := w.zone.Sign(append(csr[:len(csr)-1:len(csr)-1], csr[len(csr)-1]^1), identity.Workload("isthmus.local", "a", "b"), time.Hour, nil, nil); err == nil {
		t.Error("signed a request that does not prove its key")
	}
	if _, err := identity.NewAuthority("isthmus.local", newKey(t), []*x509.Certificate{w.root.Certificate()}, w.root.Roots(), clock); err == nil {
		t.Error("made an authority of a key and somebody else's certificate")
	}
}

func TestLeafNeverOutlivesItsAuthority(t *testing.T) {
	w := newWorld(t)
	p := w.peer(w.zone, identity.Workload("isthmus.local", "shop", "web"), 1000*time.Hour)
	if end := p.cert.Leaf.NotAfter; end.After(w.zone.Certificate().NotAfter) {
		t.Errorf("leaf ends %v, its authority %v", end, w.zone.Certificate().NotAfter)
	}
}

func TestSignedByZone(t *testing.T) {
	w := newWorld(t)
	ours, direct := w.peer(w.zone, identity.Workload("isthmus.local", "shop", "web"), time.Hour), w.peer(w.root, identity.Workload("isthmus.local", "shop", "web"), time.Hour)
	if !identity.SignedByZone(ours.cert.Leaf, "dc1", "isthmus.local") {
		t.Error("a zone does not know its own certificate")
	}
	if identity.SignedByZone(ours.cert.Leaf, "dc2", "isthmus.local") || identity.SignedByZone(direct.cert.Leaf, "dc1", "isthmus.local") {
		t.Error("a zone claims a foreign certificate")
	}
}

func TestHandshake(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	edge, web := identity.Edge("isthmus.local", "dc1", "e1"), identity.Workload("isthmus.local", "shop", "web")
	want := func(id identity.ID) func(identity.ID) error {
		return func(got identity.ID) error {
			if got != id {
				return fmt.Errorf("peer is %v, want %v", got, id)
			}
			return nil
		}
	}
	server, client := w.peer(w.root, edge, time.Hour), w.peer(w.zone, web, time.Hour)
	usurper := w.peer(w.zone, edge, time.Hour)
	late := func() time.Time { return start.Add(2 * time.Hour) }
	ahead, behind := func() time.Time { return start.Add(10 * time.Minute) }, func() time.Time { return start.Add(-10 * time.Minute) }
	cases := map[string]struct {
		client *tls.Config
		server *tls.Config
		fails  string
	}{
		"OK":                {identity.ClientTLS(client, clock, want(edge)), identity.ServerTLS(server, clock), ""},
		"Anonymous":         {identity.ClientTLS(peer{nil, w.root.Roots()}, clock, want(edge)), identity.ServerTLS(server, clock), ""},
		"Pinned":            {identity.PinnedTLS(identity.Pin(w.root.Certificate()), clock, want(edge)), identity.ServerTLS(server, clock), ""},
		"WrongIdentity":     {identity.ClientTLS(client, clock, want(web)), identity.ServerTLS(server, clock), "want spiffe"},
		"ZoneActsAsEdge":    {identity.ClientTLS(client, clock, want(edge)), identity.ServerTLS(usurper, clock), "may vouch for workloads only"},
		"ZoneActsAsOwnEdge": {identity.ClientTLS(usurper, clock, want(edge)), identity.ServerTLS(server, clock), "may vouch for workloads only"},
		"WrongPin":          {identity.PinnedTLS(identity.Pin(other.root.Certificate()), clock, want(edge)), identity.ServerTLS(server, clock), problem.PeerUntrusted.Code},
		"ForeignRoot":       {identity.ClientTLS(other.peer(other.zone, web, time.Hour), clock, want(edge)), identity.ServerTLS(server, clock), problem.PeerUntrusted.Code},
		"Expired":           {identity.ClientTLS(client, late, want(edge)), identity.ServerTLS(server, late), problem.PeerUntrusted.Code},
		"ClientAhead":       {identity.ClientTLS(client, ahead, want(edge)), identity.ServerTLS(server, clock), ""},
		"ClientBehind":      {identity.ClientTLS(client, behind, want(edge)), identity.ServerTLS(server, clock), ""},
		"ServerBehind":      {identity.ClientTLS(client, clock, want(edge)), identity.ServerTLS(server, behind), ""},
		"PinnedBehind":      {identity.PinnedTLS(identity.Pin(w.root.Certificate()), behind, want(edge)), identity.ServerTLS(server, clock), ""},
		"ForeignClient":     {identity.ClientTLS(peer{other.peer(other.zone, web, time.Hour).cert, w.root.Roots()}, clock, want(edge)), identity.ServerTLS(server, clock), "tls"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := handshake(t, c.client, c.server)
			if c.fails == "" && err != nil {
				t.Fatal(err)
			}
			if c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
				t.Fatalf("got %v, want an error with %q", err, c.fails)
			}
		})
	}
}

// handshake returns the error of either side, the client's first. A refused client learns of it on
// its first read in TLS 1.3.
func handshake(t *testing.T, client, server *tls.Config) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	served := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			served <- err
			return
		}
		defer c.Close()
		s := tls.Server(c, server)
		if err = s.Handshake(); err == nil {
			_, err = s.Write([]byte("x"))
		}
		served <- err
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), client)
	if err == nil {
		defer c.Close()
		_, err = c.Read(make([]byte, 1))
	}
	return errors.Join(err, <-served)
}

func TestToken(t *testing.T) {
	w := newWorld(t)
	token := identity.NewToken("reviews-1", []string{"10.0.0.1:15012"}, w.root.Certificate())
	back, err := identity.ParseToken(" " + token.String() + "\n")
	check(t, err)
	if back.Name != token.Name || !back.Proves(token.SecretSHA256()) || back.Pin != identity.Pin(w.root.Certificate()) {
		t.Errorf("token changed on its way: %+v", back)
	}
	if other := identity.NewToken("reviews-1", nil, w.root.Certificate()); other.Proves(token.SecretSHA256()) {
		t.Error("two tokens share a secret")
	}
	for _, bad := range []string{"", "hello", "isthmus1.", "isthmus1.e30", token.String()[:40], "isthmus1.!" + token.String()[10:]} {
		var p *problem.Error
		if _, err := identity.ParseToken(bad); !errors.As(err, &p) || p.Code != problem.TokenMalformed.Code {
			t.Errorf("ParseToken(%q): %v, want %s", bad, err, problem.TokenMalformed.Code)
		}
	}
}

func TestKeyRoundTrip(t *testing.T) {
	key := newKey(t)
	text, err := identity.EncodeKey(key)
	check(t, err)
	back, err := identity.DecodeKey(text)
	check(t, err)
	if !back.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Public()) {
		t.Error("another key came back")
	}
	csr, err := identity.NewRequest(key)
	check(t, err)
	first, err := identity.RequestKeySHA256(csr)
	check(t, err)
	if csr, err = identity.NewRequest(back); err != nil {
		t.Fatal(err)
	}
	if second, err := identity.RequestKeySHA256(csr); err != nil || first != second {
		t.Errorf("fingerprints differ for one key: %s, %s, %v", first, second, err)
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add("isthmus1.e30")
	f.Fuzz(func(t *testing.T, text string) {
		if token, err := identity.ParseToken(text); err == nil {
			if _, err := identity.ParseToken(token.String()); err != nil {
				t.Errorf("%q parses, its own text does not: %v", text, err)
			}
		}
	})
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := identity.NewKey()
	check(t, err)
	return key
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package meshtest

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/isthmus-mesh/isthmus/agent/attend"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// stranger is a client that says what no agent and no edge of ours would, with a certificate that a real edge or
// the hub gave it. It is an [identity.Source].
type stranger struct {
	t           *testing.T
	machine     *Machine
	certificate *tls.Certificate // nil for none
	roots       []*x509.Certificate
}

func (s *stranger) Certificate() *tls.Certificate { return s.certificate }
func (s *stranger) Roots() []*x509.Certificate    { return s.roots }

// to connects to an edge or the hub, whoever that is.
func (s *stranger) to(address string) *grpc.ClientConn {
	s.t.Helper()
	return s.connect(address, identity.ClientTLS(s, time.Now, anybody))
}

func (s *stranger) connect(address string, config *tls.Config) *grpc.ClientConn {
	s.t.Helper()
	conn, err := attend.Connect(address, config, s.machine.DialContext)
	s.check(err)
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

func anybody(identity.ID) error { return nil }

// join gets the certificate of a workload.
func (s *stranger) join(token string) {
	s.t.Helper()
	key := s.newKey()
	answer, err := machinepb.NewMachineClient(s.pinned(token)).Join(s.t.Context(), &machinepb.JoinRequest{Token: token, Csr: s.request(key)})
	s.check(err)
	s.keep(key, answer.Certificates, answer.Roots)
}

// joinAsEdge gets the certificate of an edge, and that of the zone's authority, which it throws away.
func (s *stranger) joinAsEdge(name, token string) {
	s.t.Helper()
	key := s.newKey()
	answer, err := feedpb.NewFeedClient(s.pinned(token)).Admit(s.t.Context(), &feedpb.AdmitRequest{
		Token: token, Edge: name, Csr: s.request(key), AuthorityCsr: s.request(s.newKey()),
	})
	s.check(err)
	s.keep(key, answer.Certificates, answer.Roots)
}

// pinned connects to where a token leads.
func (s *stranger) pinned(token string) *grpc.ClientConn {
	s.t.Helper()
	parsed, err := identity.ParseToken(token)
	s.check(err)
	return s.connect(parsed.Addresses[0], identity.PinnedTLS(parsed.Pin, time.Now, anybody))
}

func (s *stranger) keep(key crypto.Signer, certificates, roots [][]byte) {
	s.t.Helper()
	var err error
	s.certificate, err = identity.Chain(key, certificates)
	s.check(err)
	s.roots, err = identity.ParseCertificates(roots)
	s.check(err)
}

func (s *stranger) newKey() crypto.Signer {
	s.t.Helper()
	key, err := identity.NewKey()
	s.check(err)
	return key
}

// request asks for a certificate, of somebody if names are given.
func (s *stranger) request(key crypto.Signer, names ...identity.ID) []byte {
	s.t.Helper()
	var uris []*url.URL
	for _, id := range names {
		uris = append(uris, id.URI())
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{URIs: uris}, key)
	s.check(err)
	return csr
}

// refused makes a call and wants the refusal.
func (s *stranger) refused(t *testing.T, r refusal, call func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	r.to(t, func() {
		if err := call(ctx); err == nil || !strings.Contains(err.Error(), r.reason.Code) {
			t.Errorf("got %v, want %s", err, r.reason.Code)
		}
	})
}

func (s *stranger) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

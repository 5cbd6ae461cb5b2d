package sds

import (
	"crypto"
	"crypto/x509"
	"log/slog"
	"net"
	"testing"
	"time"

	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/xds"
)

// authority makes keys and certificates.
func authority(t *testing.T) (crypto.Signer, []*x509.Certificate) {
	t.Helper()
	key, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	root, err := identity.NewRoot("isthmus.local", key, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return key, root.Roots()
}

func dial(t *testing.T, s *Server) xds.SecretClientStream {
	t.Helper()
	server := xds.NewServer()
	s.Register(server)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); <-done })
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	stream, err := xds.Secrets(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func send(t *testing.T, stream xds.SecretClientStream, request *xds.Request) {
	t.Helper()
	request.TypeURL = secretType
	if err := stream.Send(request); err != nil {
		t.Fatal(err)
	}
}

// receive returns a response with one secret.
func receive(t *testing.T, stream xds.SecretClientStream) (*tls.Secret, *xds.Response) {
	t.Helper()
	response, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if len(response.Resources) != 1 || response.Resources[0].TypeURL != secretType {
		t.Fatalf("%+v", response)
	}
	secret := &tls.Secret{}
	if err := proto.Unmarshal(response.Resources[0].Value, secret); err != nil {
		t.Fatal(err)
	}
	return secret, response
}

func TestSecretsAreServedAndRotated(t *testing.T) {
	s := New(slog.New(slog.DiscardHandler))
	stream := dial(t, s)
	send(t, stream, &xds.Request{Names: []string{CertificateName}}) // before there is one

	key, roots := authority(t)
	if err := s.Set(key, roots, identity.TrustDomain{Name: "isthmus.local", Roots: roots}); err != nil {
		t.Fatal(err)
	}
	secret, first := receive(t, stream)
	chain := identity.EncodeCertificates(roots)
	if got := secret.GetTlsCertificate(); secret.Name != CertificateName || string(got.GetCertificateChain().GetInlineBytes()) != string(chain) {
		t.Errorf("%v", secret)
	}
	if private, err := identity.DecodeKey(secret.GetTlsCertificate().GetPrivateKey().GetInlineBytes()); err != nil || !key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(private.Public()) {
		t.Errorf("the key is another: %v", err)
	}

	send(t, stream, &xds.Request{Names: []string{CertificateName}, Nonce: first.Nonce}) // accepted
	send(t, stream, &xds.Request{Names: []string{RootsName}, Nonce: first.Nonce})       // something else
	secret, second := receive(t, stream)
	if secret.Name != RootsName || string(secret.GetValidationContext().GetTrustedCa().GetInlineBytes()) != string(chain) {
		t.Errorf("%v", secret)
	}
	send(t, stream, &xds.Request{Names: []string{RootsName}, Nonce: second.Nonce, Rejection: &xds.Rejection{Text: "no"}})

	other, newRoots := authority(t)
	if err := s.Set(other, newRoots, identity.TrustDomain{Name: "isthmus.local", Roots: newRoots}); err != nil {
		t.Fatal(err)
	}
	secret, third := receive(t, stream)
	if got := string(secret.GetValidationContext().GetTrustedCa().GetInlineBytes()); got != string(identity.EncodeCertificates(newRoots)) || third.Version == second.Version {
		t.Errorf("version %s after %s: %v", third.Version, second.Version, secret)
	}
}

func TestOtherTypesAreRefused(t *testing.T) {
	stream := dial(t, New(slog.New(slog.DiscardHandler)))
	if err := stream.Send(&xds.Request{TypeURL: "clusters"}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err == nil {
		t.Error("clusters are served")
	}
}

package pilot

import (
	"crypto"
	"net"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	secretv3 "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"
	v3 "istio.io/istio/pilot/pkg/xds/v3"

	"github.com/isthmus-mesh/isthmus/identity"
)

// secretService gives Envoy its own certificate and the roots, as the agent does.
type secretService struct {
	secretv3.UnimplementedSecretDiscoveryServiceServer
	t      testing.TB
	p      party
	system []byte // the machine's authorities
}

func serveSecrets(t testing.TB, path string, p party, system []byte) {
	t.Helper()
	l, err := net.Listen("unix", path)
	check(t, err)
	s := grpc.NewServer()
	secretv3.RegisterSecretDiscoveryServiceServer(s, &secretService{t: t, p: p, system: system})
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
}

// StreamSecrets answers each first request for names; later ones acknowledge.
func (s *secretService) StreamSecrets(stream secretv3.SecretDiscoveryService_StreamSecretsServer) error {
	for {
		req, err := stream.Recv()
		if err != nil {
			return nil
		}
		if req.ResponseNonce != "" {
			continue
		}
		resp := &discovery.DiscoveryResponse{TypeUrl: v3.SecretType, VersionInfo: "1", Nonce: "1"}
		for _, name := range req.ResourceNames {
			a, err := anypb.New(s.secret(name))
			check(s.t, err)
			resp.Resources = append(resp.Resources, a)
		}
		if err := stream.Send(resp); err != nil {
			return nil
		}
	}
}

func (s *secretService) secret(name string) *tlsv3.Secret {
	inline := func(b []byte) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: b}}
	}
	trusted := map[string][]byte{"ROOTCA": identity.EncodeCertificates(s.p.roots), "file-root:system": s.system}
	if roots, ok := trusted[name]; ok {
		return &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa: inline(roots),
		}}}
	}
	key, err := identity.EncodeKey(s.p.cert.PrivateKey.(crypto.Signer))
	check(s.t, err)
	chain, err := identity.ParseCertificates(s.p.cert.Certificate)
	check(s.t, err)
	return &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
		CertificateChain: inline(identity.EncodeCertificates(chain)), PrivateKey: inline(key),
	}}}
}

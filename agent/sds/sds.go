// Package sds gives Envoy the workload's certificate and the roots it trusts, on the agent's Unix
// socket, and gives them anew when they change. Envoy uses a new certificate for new connections;
// established ones stay.
//
// It serves the state-of-the-world form of Envoy's secret discovery, which is what Istio's
// configuration asks a cluster named "sds-grpc" for, and the two names used there. A [Server] may be
// used from any goroutine.
package sds

import (
	"crypto"
	"crypto/x509"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	secret "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/isthmus-mesh/isthmus/identity"
)

// The names of the secrets, as Istio's configuration uses them.
const (
	CertificateName = "default"
	RootsName       = "ROOTCA"
)

const secretType = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"

// Server serves the secrets of the moment.
type Server struct {
	secret.UnimplementedSecretDiscoveryServiceServer
	log *slog.Logger

	mu      sync.Mutex // guards the rest
	secrets map[string]*anypb.Any
	version uint64
	changed chan struct{} // closed by the next change
}

// New makes a server without secrets; Envoy waits for the first.
func New(log *slog.Logger) *Server {
	return &Server{log: log, secrets: map[string]*anypb.Any{}, changed: make(chan struct{})}
}

// Register adds the service to the server of Envoy's socket.
func (s *Server) Register(r grpc.ServiceRegistrar) { secret.RegisterSecretDiscoveryServiceServer(r, s) }

// Set replaces the secrets. The chain is leaf first, without the root.
func (s *Server) Set(key crypto.Signer, chain, roots []*x509.Certificate) error {
	text, err := identity.EncodeKey(key)
	if err != nil {
		return err
	}
	certificate, err := anypb.New(&tls.Secret{Name: CertificateName, Type: &tls.Secret_TlsCertificate{TlsCertificate: &tls.TlsCertificate{
		CertificateChain: inline(identity.EncodeCertificates(chain)), PrivateKey: inline(text),
	}}})
	if err != nil {
		return err
	}
	trust, err := anypb.New(&tls.Secret{Name: RootsName, Type: &tls.Secret_ValidationContext{ValidationContext: &tls.CertificateValidationContext{
		TrustedCa: inline(identity.EncodeCertificates(roots)),
	}}})
	if err != nil {
		return err
	}
	s.replace(map[string]*anypb.Any{CertificateName: certificate, RootsName: trust})
	return nil
}

func inline(content []byte) *core.DataSource {
	return &core.DataSource{Specifier: &core.DataSource_InlineBytes{InlineBytes: content}}
}

func (s *Server) replace(secrets map[string]*anypb.Any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets, s.version = secrets, s.version+1
	close(s.changed)
	s.changed = make(chan struct{})
}

// answer is the response with the secrets of these names, and what is closed when it is out of date.
func (s *Server) answer(names []string) (*discovery.DiscoveryResponse, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	version := strconv.FormatUint(s.version, 10)
	response := &discovery.DiscoveryResponse{TypeUrl: secretType, VersionInfo: version, Nonce: version}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		if secret, ok := s.secrets[name]; ok {
			response.Resources = append(response.Resources, secret)
		}
	}
	return response, s.changed
}

// Names lists the secrets served.
func (s *Server) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.secrets))
}

// StreamSecrets serves one stream of Envoy: it has one for each secret of each cluster or listener.
func (s *Server) StreamSecrets(stream secret.SecretDiscoveryService_StreamSecretsServer) error {
	requests, failed := make(chan *discovery.DiscoveryRequest), make(chan error, 1)
	go func() { failed <- listen(stream, requests) }() // ends with the stream, which ends when we return
	var names []string
	var changed <-chan struct{}
	var nonce string
	for {
		select {
		case err := <-failed:
			return err
		case request := <-requests:
			s.note(request)
			if request.ResponseNonce == nonce && nonce != "" && slices.Equal(request.ResourceNames, names) {
				continue // an answer to our response
			}
			names = request.ResourceNames
		case <-changed:
		}
		var response *discovery.DiscoveryResponse
		if response, changed = s.answer(names); len(response.Resources) == 0 {
			continue
		}
		nonce = response.Nonce
		if err := stream.Send(response); err != nil {
			return err
		}
	}
}

func (s *Server) note(request *discovery.DiscoveryRequest) {
	if request.ErrorDetail != nil {
		s.log.Error("Envoy rejects a certificate", "names", request.ResourceNames, "reason", request.ErrorDetail.Message)
	}
}

func listen(stream secret.SecretDiscoveryService_StreamSecretsServer, requests chan<- *discovery.DiscoveryRequest) error {
	for {
		request, err := stream.Recv()
		if err != nil {
			return err
		}
		if request.TypeUrl != secretType && request.TypeUrl != "" {
			return errors.New("sds: only secrets are served here")
		}
		select {
		case requests <- request:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

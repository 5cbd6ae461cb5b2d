// Package sds gives Envoy the workload's certificate and the roots it trusts, on the agent's Unix
// socket, and gives them anew when they change. Envoy uses a new certificate for new connections;
// established ones stay.
//
// It serves the state-of-the-world form of Envoy's secret discovery, which is what Istio's
// configuration asks a cluster named "sds-grpc" for, and the three names used there. A [Server] may be
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

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/xds"
)

// The names of the secrets, as Istio's configuration uses them.
const (
	CertificateName = "default"
	RootsName       = "ROOTCA"
)

const secretType = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"

// Server serves the secrets of the moment.
type Server struct {
	log *slog.Logger

	mu        sync.Mutex // guards the rest
	secrets   map[string]xds.Any
	own       identity.TrustDomain
	federated []identity.TrustDomain
	version   uint64
	changed   chan struct{} // closed by the next change
}

// New makes a server without secrets; Envoy waits for the first.
func New(log *slog.Logger) *Server {
	return &Server{log: log, secrets: map[string]xds.Any{}, changed: make(chan struct{})}
}

// Register adds the service to the server of Envoy's socket.
func (s *Server) Register(r *grpc.Server) { xds.ServeSecrets(r, s.serve) }

// Set replaces the certificate and the roots that vouch for its trust domain. The chain is leaf first, without the root.
func (s *Server) Set(key crypto.Signer, chain []*x509.Certificate, own identity.TrustDomain) error {
	text, err := identity.EncodeKey(key)
	if err != nil {
		return err
	}
	secrets := map[string]xds.Any{CertificateName: certificateSecret(identity.EncodeCertificates(chain), text)}
	if system := systemRoots(); system != nil {
		secrets[SystemRootsName] = rootsSecret(SystemRootsName, system)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own = own
	s.replace(secrets)
	return nil
}

// Federate replaces the other trust domains whose identities are accepted, each vouched for by its own roots only.
func (s *Server) Federate(domains []identity.TrustDomain) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.EqualFunc(domains, s.federated, identity.TrustDomain.Equal) {
		return
	}
	s.federated = domains
	if len(s.secrets) > 0 {
		s.replace(maps.Clone(s.secrets))
	}
}

// certificateSecret is envoy.extensions.transport_sockets.tls.v3.Secret with a TlsCertificate.
func certificateSecret(chain, key []byte) xds.Any {
	certificate := xds.AppendBytes(nil, 1, inline(chain))
	certificate = xds.AppendBytes(certificate, 2, inline(key))
	return pack(CertificateName, 2, certificate)
}

func pack(name string, kind protowire.Number, content []byte) xds.Any {
	return xds.Any{TypeURL: secretType, Value: xds.AppendBytes(xds.AppendBytes(nil, 1, []byte(name)), kind, content)}
}

// inline is envoy.config.core.v3.DataSource with inline_bytes.
func inline(content []byte) []byte { return xds.AppendBytes(nil, 2, content) }

// replace serves secrets, and beside them the roots of the moment. Caller holds mu.
func (s *Server) replace(secrets map[string]xds.Any) {
	secrets[RootsName] = trustSecret(s.own, s.federated)
	s.secrets, s.version = secrets, s.version+1
	close(s.changed)
	s.changed = make(chan struct{})
}

// answer is the response with the secrets of these names, and what is closed when it is out of date.
func (s *Server) answer(names []string) (*xds.Response, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	version := strconv.FormatUint(s.version, 10)
	response := &xds.Response{TypeURL: secretType, Version: version, Nonce: version}
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

// serve serves one stream of Envoy: it has one for each secret of each cluster or listener.
func (s *Server) serve(stream xds.SecretServerStream) error {
	requests, failed := make(chan *xds.Request), make(chan error, 1)
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
			if request.Nonce == nonce && nonce != "" && slices.Equal(request.Names, names) {
				continue // an answer to our response
			}
			names = request.Names
		case <-changed:
		}
		var response *xds.Response
		if response, changed = s.answer(names); len(response.Resources) == 0 {
			continue
		}
		nonce = response.Nonce
		if err := stream.Send(response); err != nil {
			return err
		}
	}
}

func (s *Server) note(request *xds.Request) {
	if request.Rejection != nil {
		s.log.Error("Envoy rejects a certificate", "names", request.Names, "reason", request.Rejection.Text)
	}
}

func listen(stream xds.SecretServerStream, requests chan<- *xds.Request) error {
	for {
		request, err := stream.Recv()
		if err != nil {
			return err
		}
		if request.TypeURL != secretType && request.TypeURL != "" {
			return errors.New("sds: only secrets are served here")
		}
		select {
		case requests <- request:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

package sds

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/xds"
	pinned "github.com/isthmus-mesh/isthmus/tools/envoy"
)

const trustBootstrap = `
node: {id: reviews, cluster: test}
static_resources:
  clusters:
  - name: sds-grpc
    typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {http2_protocol_options: {}}}}
    load_assignment: {cluster_name: sds-grpc, endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: %q}}}}]}]}
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: %s}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: test
          http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
          route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200}, response_headers_to_add: [{header: {key: peer, value: "%%DOWNSTREAM_PEER_URI_SAN%%"}}]}]}]}
      transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
          common_tls_context:
            tls_certificate_sds_secret_configs: [{name: default, sds_config: &sds {resource_api_version: V3, api_config_source: {api_type: GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: sds-grpc}}]}}}]
            combined_validation_context:
              default_validation_context: {match_subject_alt_names: [{prefix: "spiffe://isthmus.local/"}, {prefix: "spiffe://prod-1.example/"}, {prefix: "spiffe://prod-2.example/"}]}
              validation_context_sds_secret_config: {name: ROOTCA, sds_config: *sds}
`

// caller has certificates of a root, for any identity of the trust domain that it claims to be of.
type caller struct {
	t   *testing.T
	key crypto.Signer
	*identity.Authority
}

func newCaller(t *testing.T, domain string) caller {
	key, err := identity.NewKey()
	must(t, err)
	root, err := identity.NewRoot(domain, key, time.Now)
	must(t, err)
	return caller{t, key, root}
}

// claiming is the same root, which claims another trust domain.
func (c caller) claiming(domain string) caller {
	c.t.Helper()
	other, err := identity.NewAuthority(domain, c.key, c.Roots(), c.Roots(), time.Now)
	must(c.t, err)
	return caller{c.t, c.key, other}
}

func (c caller) domain() identity.TrustDomain {
	return identity.TrustDomain{Name: c.TrustDomain(), Roots: c.Roots()}
}

func (c caller) identity() identity.ID { return identity.Workload(c.TrustDomain(), "shop", "web") }

func (c caller) certificate() (crypto.Signer, *tls.Certificate) {
	c.t.Helper()
	key, err := identity.NewKey()
	must(c.t, err)
	csr, err := identity.NewRequest(key)
	must(c.t, err)
	chain, err := c.Sign(csr, c.identity(), time.Hour, nil, nil)
	must(c.t, err)
	certificate, err := identity.Chain(key, chain)
	must(c.t, err)
	return key, certificate
}

// call returns whom Envoy takes the caller for.
func (c caller) call(address string) (string, error) {
	_, certificate := c.certificate()
	config := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{*certificate}}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	response, err := client.Get("https://" + address)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	return response.Header.Get("peer"), nil
}

// startEnvoy starts one that asks s for its secrets and returns where it listens.
func startEnvoy(t *testing.T, s *Server) string {
	t.Helper()
	dir := t.TempDir()
	socket, err := net.Listen("unix", filepath.Join(dir, "sds"))
	must(t, err)
	server := xds.NewServer()
	s.Register(server)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(socket) }()
	t.Cleanup(func() { server.Stop(); <-done })
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := free.Addr().String()
	free.Close()
	_, port, _ := net.SplitHostPort(address)
	file := filepath.Join(dir, "bootstrap.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, trustBootstrap, socket.Addr(), port), 0o600))
	path, err := pinned.Path(t.Context(), t.Output())
	must(t, err)
	cmd := exec.Command(path, "-c", file, "--concurrency", "1", "--disable-hot-restart", "-l", "warning")
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return address
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestTrustDomains: a real Envoy, configured as Istio does, whose roots are the agent's.
func TestTrustDomains(t *testing.T) {
	mesh, prod := newCaller(t, "isthmus.local"), newCaller(t, "prod-1.example")
	s := New(slog.New(slog.DiscardHandler))
	key, own := mesh.certificate()
	must(t, s.Set(key, []*x509.Certificate{own.Leaf}, mesh.domain()))
	address := startEnvoy(t, s)
	is := func(what string, c caller, want bool) {
		t.Helper()
		tick := time.NewTicker(20 * time.Millisecond) // Envoy does not tell when it has new roots
		defer tick.Stop()
		for late := time.After(20 * time.Second); ; {
			peer, err := c.call(address)
			if want && err == nil && peer == c.identity().String() || !want && err != nil {
				return
			}
			select {
			case <-tick.C:
			case <-late:
				t.Fatalf("%s: Envoy takes it for %q, %v", what, peer, err)
			}
		}
	}
	is("the mesh's own", mesh, true)
	is("a foreign root, not federated", prod, false)
	s.Federate([]identity.TrustDomain{prod.domain()})
	is("the mesh's own, federated", mesh, true)
	is("a foreign root, federated", prod, true)
	is("a foreign root for the mesh's trust domain", prod.claiming("isthmus.local"), false)
	is("a foreign root for a third trust domain", prod.claiming("prod-2.example"), false)
	is("the mesh's root for a foreign trust domain", mesh.claiming("prod-1.example"), false)
	is("a third root for a foreign trust domain", newCaller(t, "prod-1.example"), false)
	s.Federate(nil)
	is("the mesh's own, afterwards", mesh, true)
	is("a foreign root, afterwards", prod, false)
}

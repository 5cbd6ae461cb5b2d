package pilot

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/tools/envoy"
)

// machine is a workload with a real Envoy that speaks to the Pilot itself, without an agent.
type machine struct {
	Workload
	t     testing.TB
	admin string
	log   *bytes.Buffer
}

// boot starts Envoy for the workload and waits until the edge has its receipt.
func (w *world) boot(workload Workload, revision int64) *machine {
	w.t.Helper()
	dir := w.t.TempDir()
	m := &machine{Workload: workload, t: w.t, admin: freeAddress(w.t), log: &bytes.Buffer{}}
	p := w.peer(idOf(workload))
	serveSecrets(w.t, filepath.Join(dir, "sds"), p, w.system)
	file := filepath.Join(dir, "bootstrap.yaml")
	check(w.t, os.WriteFile(file, []byte(m.bootstrap(w, p, filepath.Join(dir, "sds"))), 0o600))
	path, err := envoy.Path(w.t.Context(), w.t.Output())
	check(w.t, err)
	cmd := exec.Command(path, "-c", file, "--concurrency", "1", "--disable-hot-restart", "--skip-deprecated-logs", "-l", "warning")
	cmd.Stdout, cmd.Stderr = m.log, m.log
	check(w.t, cmd.Start())
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if w.t.Failed() {
			w.t.Logf("Envoy of %s:\n%s", workload.Name, m.log)
		}
	})
	w.awaitReceipt(workload.Name, revision)
	return m
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	return l.Addr().String()
}

func (m *machine) bootstrap(w *world, p party, sds string) string {
	key, err := identity.EncodeKey(p.cert.PrivateKey.(crypto.Signer))
	check(m.t, err)
	chain, err := identity.ParseCertificates(p.cert.Certificate)
	check(m.t, err)
	host, port, _ := net.SplitHostPort(w.address)
	adminHost, adminPort, _ := net.SplitHostPort(m.admin)
	return fmt.Sprintf(`
node: {id: %q, cluster: test}
admin: {address: {socket_address: {address: %s, port_value: %s}}}
dynamic_resources:
  ads_config: {api_type: DELTA_GRPC, transport_api_version: V3, set_node_on_first_message_only: true, grpc_services: [{envoy_grpc: {cluster_name: xds}}]}
  cds_config: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}
  lds_config: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}
static_resources:
  clusters:
  - name: sds-grpc
    connect_timeout: 1s
    typed_extension_protocol_options: &h2 {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {http2_protocol_options: {}}}}
    load_assignment: {cluster_name: sds-grpc, endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: %q}}}}]}]}
  - name: xds
    connect_timeout: 1s
    typed_extension_protocol_options: *h2
    load_assignment: {cluster_name: xds, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]}
    transport_socket:
      name: tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        common_tls_context:
          alpn_protocols: [h2]
          tls_params: {tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3}
          tls_certificates: [{certificate_chain: {inline_string: %q}, private_key: {inline_string: %q}}]
          validation_context: {trusted_ca: {inline_string: %q}}
`, w.pilot.NodeID(m.Workload), adminHost, adminPort, sds, host, port,
		identity.EncodeCertificates(chain), key, identity.EncodeCertificates(p.roots))
}

// get asks Envoy's admin interface.
func (m *machine) get(path string) string {
	resp, err := http.Get("http://" + m.admin + path)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

// TestRealEnvoys: two machines without capture; one calls the other through its HTTP proxy, through an HTTP
// upstream and through a TCP upstream; and a rejection in Envoy's own words.
func TestRealEnvoys(t *testing.T) {
	w := newWorld(t)
	web, reviews := sidecar("web", "web-1", "127.31.0.1"), sidecar("reviews", "reviews-1", "127.31.0.2")
	app := http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(rw, "host=%s path=%s xfcc=%s", r.Host, r.URL.Path, r.Header.Get("X-Forwarded-Client-Cert"))
	})}
	target := listen(t, &app)
	for _, workload := range []*Workload{&web, &reviews} {
		workload.Capture = Explicit
		workload.Ports = []Port{{Port: 9080, Protocol: "http", Target: target}, {Port: 9070, Protocol: "tcp", Target: target}}
	}
	web.HTTPProxy = "127.31.0.1:15080"
	web.Upstreams = []Upstream{
		{Host: "reviews", Port: 9080, Listen: "127.31.0.1:19080"}, {Host: "raw.shop.mesh", Port: 9070, Listen: "127.31.0.1:19070"},
	}
	raw := shopService(t, "raw", "240.0.0.7", 9070, "TCP")
	selectReviews(t, raw)
	w.pilot.SetWorkloads([]Workload{web, reviews}, nil)
	w.apply(1, shopService(t, "reviews", "240.0.0.1", 9080, "HTTP"), shopService(t, "web", "240.0.0.3", 9080, "HTTP"), raw)
	w.boot(reviews, 1)
	client := w.boot(web, 1)

	proxied := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: "127.31.0.1:15080"})}}
	direct := &http.Client{Transport: &http.Transport{}}
	caller := "URI=spiffe://isthmus.local/ns/shop/sa/web"
	for name, try := range map[string]func() (*http.Response, error){
		"http proxy, short name": func() (*http.Response, error) { return proxied.Get("http://reviews:9080/a") },
		"http proxy, workspace":  func() (*http.Response, error) { return proxied.Get("http://reviews.shop:9080/a") },
		"http proxy, full name":  func() (*http.Response, error) { return proxied.Get("http://reviews.shop.mesh:9080/a") },
		"http upstream":          func() (*http.Response, error) { return direct.Get("http://127.31.0.1:19080/a") },
	} {
		t.Run(name, func(t *testing.T) {
			if body := fetch(t, try); !strings.Contains(body, "path=/a") || !strings.Contains(body, caller) {
				t.Errorf("%s", body)
			}
		})
	}
	t.Run("tcp upstream", func(t *testing.T) {
		body := fetch(t, func() (*http.Response, error) { return direct.Get("http://127.31.0.1:19070/raw") })
		if !strings.Contains(body, "host=127.31.0.1:19070 path=/raw") {
			t.Error(body)
		}
	})
	t.Run("plaintext is refused", func(t *testing.T) {
		if _, err := direct.Get("http://127.31.0.2:9080/"); err == nil {
			t.Error("an answer without mutual TLS")
		}
		conn, err := tls.Dial("tcp", "127.31.0.2:9080", &tls.Config{InsecureSkipVerify: true})
		if err == nil { // TLS 1.3: the refusal of a client without certificate comes with the first read
			_, err = conn.Read(make([]byte, 1))
		}
		if err == nil {
			t.Error("an answer without a certificate")
		}
	})
	t.Run("rejection", func(t *testing.T) { w.testRealRejection(t, client, proxied) })
}

// testRealRejection sends what passes Istio's validation and not Envoy's.
func (w *world) testRealRejection(t testing.TB, client *machine, proxied *http.Client) {
	for i, value := range []string{"%NO_SUCH_COMMAND%", "%REQ(X?Y?Z)%"} {
		revision := int64(10 * (i + 1))
		w.apply(revision, hostRoute(t, "reviews", fmt.Sprint("good", i), "fine"))
		w.awaitReceipt("web-1", revision)
		w.apply(revision+1, hostRoute(t, "reviews", fmt.Sprint("bad", i), value), hostRoute(t, "web", fmt.Sprint(i), "other"))
		w.awaitReceipt("web-1", revision+1)
		r := w.pilot.Rejections()
		if len(r) != 1 || r[0].Resource != "VirtualService/shop/reviews" || r[0].Version != fmt.Sprint("bad", i) {
			t.Fatalf("rejections %v", r)
		}
		t.Logf("Envoy said: %s", r[0].Message)
		fetch(t, func() (*http.Response, error) { return proxied.Get("http://reviews:9080/b") })
		dump := client.get("/config_dump?resource=dynamic_route_configs")
		for text, want := range map[string]bool{value: false, `"fine"`: true, `"other"`: true} {
			if strings.Contains(dump, text) != want {
				t.Errorf("%s is there: %t, want %t: %s", text, !want, want, dump)
			}
		}
	}
}

// TestRealGateway: a certificate that Go accepts and Envoy does not.
func TestRealGateway(t *testing.T) {
	w := shop(t)
	gateway := gatewayWorkload()
	w.pilot.SetWorkloads([]Workload{gateway}, nil)
	_, port, _ := net.SplitHostPort(freeAddress(t))
	w.apply(2, ingressGatewayAt(t, port), serverSecret(t, "good", "a.example"))
	w.boot(gateway, 2)
	name := func() string {
		conn, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{InsecureSkipVerify: true, ServerName: "a.example"})
		if err != nil {
			return err.Error()
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	poll(t, "the first certificate", func() bool { return name() == "a.example" })
	w.apply(3, weakSecret(t, "weak", "b.example"))
	w.awaitReceipt("ingress-1", 3)
	if r := w.pilot.Rejections(); len(r) != 1 || r[0].Resource != "Secret/shop/cert" || r[0].Version != "weak" {
		t.Fatalf("rejections %v", r)
	}
	t.Logf("Envoy said: %s", w.pilot.Rejections()[0].Message)
	if got := name(); got != "a.example" {
		t.Errorf("serves %s", got)
	}
	w.apply(4, serverSecret(t, "better", "c.example"))
	w.awaitReceipt("ingress-1", 4)
	poll(t, "the next certificate", func() bool { return name() == "c.example" })
	if r := w.pilot.Rejections(); len(r) != 0 {
		t.Errorf("rejections %v", r)
	}
}

// poll waits for what nobody announces.
func poll(t testing.TB, what string, condition func() bool) {
	t.Helper()
	late := time.After(patience)
	for tick := time.NewTicker(10 * time.Millisecond); !condition(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// fetch tries until an answer has status 200: Envoy opens its listeners a moment after it acknowledges them.
func fetch(t testing.TB, try func() (*http.Response, error)) (body string) {
	t.Helper()
	poll(t, "a good answer", func() bool {
		resp, err := try()
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		body = string(text)
		return err == nil && resp.StatusCode == http.StatusOK
	})
	return body
}

func listen(t testing.TB, app *http.Server) uint32 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	var running sync.WaitGroup
	running.Go(func() { _ = app.Serve(l) })
	t.Cleanup(func() { app.Close(); running.Wait() })
	return uint32(l.Addr().(*net.TCPAddr).Port)
}

package pilot

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// partner is a server outside of the mesh that speaks TLS. It returns its certificate and its port.
func partner(t testing.TB, name string) (certificate []byte, port uint32) {
	t.Helper()
	secret := &feedpb.Secret{}
	check(t, serverSecret(t, "1", name).Body.UnmarshalTo(secret))
	pair, err := tls.X509KeyPair(secret.Certificate, secret.Key)
	check(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(rw, "%s for %s", name, r.TLS.ServerName)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.StartTLS()
	t.Cleanup(server.Close)
	where, err := url.Parse(server.URL)
	check(t, err)
	n, err := strconv.ParseUint(where.Port(), 10, 16)
	check(t, err)
	return secret.Certificate, uint32(n)
}

// external are the objects of a service outside of the mesh, called with TLS.
func external(t testing.TB, name, credential string, port uint32) []*feedpb.Resource {
	t.Helper()
	host := name + ".shop.mesh"
	return []*feedpb.Resource{
		pack(t, "ServiceEntry/shop/"+name, "1", &networking.ServiceEntry{
			Hosts: []string{host}, Location: networking.ServiceEntry_MESH_EXTERNAL, Resolution: networking.ServiceEntry_STATIC,
			Ports:     []*networking.ServicePort{{Number: 9080, Name: "main", Protocol: "HTTP"}},
			Endpoints: []*networking.WorkloadEntry{{Address: "127.0.0.1", Ports: map[string]uint32{"main": port}}},
		}),
		pack(t, "DestinationRule/shop/"+name, "1", &networking.DestinationRule{
			Host: host,
			TrafficPolicy: &networking.TrafficPolicy{Tls: &networking.ClientTLSSettings{
				Mode: networking.ClientTLSSettings_SIMPLE, Sni: name + ".example", SubjectAltNames: []string{name + ".example"}, CredentialName: credential,
			}},
		}),
	}
}

// TestRealExternalTLS: authorities come with the configuration, or are those that the machine trusts by itself; the
// others' are not good enough.
func TestRealExternalTLS(t *testing.T) {
	w := newWorld(t)
	given, givenPort := partner(t, "given.example")
	system, systemPort := partner(t, "system.example")
	w.system = system
	web := sidecar("web", "web-1", "127.31.0.3")
	web.Capture, web.HTTPProxy = Explicit, "127.31.0.3:15080"
	w.pilot.SetWorkloads([]Workload{web}, nil)
	const credential = configMapScheme + "shop/partner"
	resources := append(external(t, "given", credential, givenPort), external(t, "system", "", systemPort)...)
	resources = append(resources, external(t, "wrong", credential, systemPort)...)
	w.apply(1, append(resources, pack(t, "ConfigMap/shop/partner", "1", &feedpb.Secret{Ca: given}))...)
	machine := w.boot(web, 1)
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: web.HTTPProxy})}}
	for _, name := range []string{"given", "system"} {
		body := fetch(t, func() (*http.Response, error) { return client.Get("http://" + name + ".shop.mesh:9080/") })
		if want := name + ".example for " + name + ".example"; body != want {
			t.Errorf("%q, want %q", body, want)
		}
	}
	resp, err := client.Get("http://wrong.shop.mesh:9080/")
	check(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a server that nobody vouches for: %s", resp.Status)
	}
	poll(t, "a count of the refusal", func() bool {
		stats := machine.get("/stats?usedonly&filter=wrong.*fail_verify")
		return strings.Contains(stats, "fail_verify_error: ") || strings.Contains(stats, "fail_verify_san: ")
	})
}

package pilot

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/isthmus-mesh/isthmus/compiler/istio"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// TestUnreached: the only application of the caller's zone takes no connections, as after a crash that nobody has
// noticed yet. Each request is tried there twice and then answered in the other zone, where a gateway would lead it to
// the workload that stands in its place here.
func TestUnreached(t *testing.T) {
	w := newWorld(t)
	web, dead, far := sidecar("web", "web-1", "127.32.0.1"), sidecar("reviews", "reviews-1", "127.32.0.2"), sidecar("far", "far-1", "127.32.0.3")
	app := http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "far") })}
	target := listen(t, &app)
	for _, workload := range []*Workload{&web, &dead, &far} {
		workload.Capture = Explicit
		workload.Ports = []Port{{Port: 9080, Protocol: "http", Target: target}}
	}
	dead.Ports[0].Target = 1 // nobody listens there
	web.HTTPProxy = "127.32.0.1:15080"
	w.pilot.SetWorkloads([]Workload{web, dead, far}, nil)

	s := plan.NewService("shop", "reviews", []plan.Port{{Number: 9080, Protocol: plan.HTTP}})
	s.Places = []plan.Place{
		{Zone: "dc1", Identities: []string{"spiffe://isthmus.local/ns/shop/sa/reviews"}}, {Zone: "dc2", Identities: []string{"spiffe://isthmus.local/ns/shop/sa/far"}},
	}
	here := &plan.Site{Zone: "dc1", Locality: "dc1/dc1"}
	there := &plan.Site{Zone: "dc2", Locality: "dc2/dc2", Gateways: []plan.Endpoint{{Host: "127.32.0.3", Port: 9080}}}
	resources := istio.NearEntries(s, here, []*plan.Site{there}, "240.0.0.1")
	w.apply(1, append(resources, istio.NearDestination(&plan.Destination{Service: s, Site: here}),
		shopService(t, "reviews", "240.0.0.2", 9080, "HTTP"), shopService(t, "far", "240.0.0.3", 9080, "HTTP"), shopService(t, "web", "240.0.0.4", 9080, "HTTP"))...)
	w.boot(dead, 1)
	w.boot(far, 1)
	caller := w.boot(web, 1)

	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: web.HTTPProxy})}}
	ask := func() (*http.Response, error) { return client.Get("http://reviews.shop.near.mesh:9080/") }
	fetch(t, ask)
	before := retries(t, caller)
	const requests = 20
	for range requests {
		answer, err := ask()
		check(t, err)
		body, err := io.ReadAll(answer.Body)
		check(t, err)
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK || string(body) != "far" {
			t.Fatalf("%d %s", answer.StatusCode, body)
		}
	}
	if got := retries(t, caller) - before; got != 2*requests {
		t.Errorf("%d retries of %d requests, want two each", got, requests)
	}
	if out, err := client.Get("http://reviews.shop.mesh:9080/"); err != nil || out.StatusCode != http.StatusServiceUnavailable || out.Header.Get("Grpc-Status") != "14" {
		t.Errorf("where no other zone is, the caller learns it: %v, %v", out, err)
	}
}

// retries is how many the proxy has made to the service wherever it is nearest.
func retries(t *testing.T, m *machine) (count int) {
	t.Helper()
	const name = "cluster.outbound|9080||reviews.shop.near.mesh;.upstream_rq_retry: "
	for line := range strings.Lines(m.get("/stats?filter=upstream_rq_retry")) {
		if text, is := strings.CutPrefix(line, name); is {
			_, err := fmt.Sscan(text, &count)
			check(t, err)
			return count
		}
	}
	t.Fatalf("no count of retries: %s", m.get("/stats?filter=upstream_rq_retry"))
	return 0
}

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

// TestUnreached: the only application of the caller's zone dies. Each request is tried there twice and then answered in
// the other zone, where a gateway would lead it to the workload that stands in its place here. One that the application
// may have processed before it died is repeated only if it reads.
func TestUnreached(t *testing.T) {
	w := newWorld(t)
	dying := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })}
	far := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "far") })}
	caller := twoZones(w, listen(t, dying), listen(t, far))

	caller.await("far")
	caller.must(t, http.MethodPost, http.StatusServiceUnavailable, 0)
	caller.must(t, http.MethodGet, http.StatusOK, 2)
	check(t, dying.Close())
	for range 10 {
		caller.must(t, http.MethodPost, http.StatusOK, 2)
		caller.must(t, http.MethodGet, http.StatusOK, 2)
	}
}

// reviewsCaller asks for reviews through the HTTP proxy of its machine.
type reviewsCaller struct {
	*machine
	client *http.Client
}

// twoZones is a caller of reviews wherever it is nearest, whose applications listen at two ports: that of its own zone
// and that of another one.
func twoZones(w *world, own, other uint32) *reviewsCaller {
	w.t.Helper()
	web, near, far := sidecar("web", "web-1", "127.32.0.1"), sidecar("reviews", "reviews-1", "127.32.0.2"), sidecar("far", "far-1", "127.32.0.3")
	web.HTTPProxy = "127.32.0.1:15080"
	for workload, target := range map[*Workload]uint32{&web: own, &near: own, &far: other} {
		workload.Capture, workload.Ports = Explicit, []Port{{Port: 9080, Protocol: "http", Target: target}}
	}
	w.pilot.SetWorkloads([]Workload{web, near, far}, nil)
	s := plan.NewService("shop", "reviews", []plan.Port{{Number: 9080, Protocol: plan.HTTP}})
	s.Places = []plan.Place{
		{Zone: "dc1", Identities: []string{"spiffe://isthmus.local/ns/shop/sa/reviews"}},
		{Zone: "dc2", Identities: []string{"spiffe://isthmus.local/ns/shop/sa/far"}},
	}
	here := &plan.Site{Zone: "dc1", Locality: "dc1/dc1"}
	there := &plan.Site{Zone: "dc2", Locality: "dc2/dc2", Gateways: []plan.Endpoint{{Host: "127.32.0.3", Port: 9080}}}
	resources := append(istio.NearEntries(s, here, []*plan.Site{there}, "240.0.0.1"), istio.NearDestination(&plan.Destination{Service: s, Site: here}))
	for i, name := range []string{"reviews", "far", "web"} {
		resources = append(resources, shopService(w.t, name, fmt.Sprintf("240.0.0.%d", i+2), 9080, "HTTP"))
	}
	w.apply(1, resources...)
	w.boot(near, 1)
	w.boot(far, 1)
	return &reviewsCaller{w.boot(web, 1), &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: web.HTTPProxy})}}}
}

func (c *reviewsCaller) ask(method string) (*http.Response, error) {
	request, err := http.NewRequest(method, "http://reviews.shop.near.mesh:9080/", nil)
	check(c.t, err)
	return c.client.Do(request)
}

// await asks until the answer is as wanted.
func (c *reviewsCaller) await(want string) {
	c.t.Helper()
	if got := fetch(c.t, func() (*http.Response, error) { return c.ask(http.MethodGet) }); got != want {
		c.t.Fatalf("answered %q, want %q", got, want)
	}
}

// must asks once, and compares what comes of it and how often the proxy has tried again.
func (c *reviewsCaller) must(t *testing.T, method string, status, retries int) {
	t.Helper()
	before := c.retries()
	answer, err := c.ask(method)
	check(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	check(t, err)
	if got := c.retries() - before; answer.StatusCode != status || got != retries {
		t.Errorf("%s: %d after %d retries, want %d after %d: %s", method, answer.StatusCode, got, status, retries, body)
	}
}

// retries is how many the proxy has made.
func (c *reviewsCaller) retries() (count int) {
	c.t.Helper()
	const name = "cluster.outbound|9080||reviews.shop.near.mesh;.upstream_rq_retry: "
	stats := c.get("/stats?filter=upstream_rq_retry")
	_, text, is := strings.Cut(stats, name)
	if !is {
		c.t.Fatalf("no count of retries: %s", stats)
	}
	_, err := fmt.Sscan(text, &count)
	check(c.t, err)
	return count
}

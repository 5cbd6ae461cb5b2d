package meshtest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// story is the shop, with what a test applies taken back at its end.
type story struct {
	*testing.T
	*Shop
}

// TestTraffic counts what every kind of traffic rule does to requests through real Envoys.
func TestTraffic(t *testing.T) {
	w := New(t)
	shop := w.Zone("dc1").Shop()
	for _, s := range []struct {
		name string
		run  func(story)
	}{
		{"every hop is mutual TLS", everyHopIsMutualTLS},
		{"canary by weight", canary},
		{"header match", headerMatch},
		{"mirror", mirror},
		{"retries", retries},
		{"timeout", timeouts},
		{"fault injection", faults},
		{"outlier ejection", ejection},
		{"consistent hash", consistentHash},
		{"rewrite and redirect", rewrite},
		{"gRPC route", grpcRoute},
		{"TCP route", tcpRoute},
		{"TLS ingress", tlsIngress},
	} {
		w.Run(t, s.name, func(t *testing.T) { s.run(story{t, shop}) })
	}
}

// with applies objects until the end of the test, and waits until proxies run them.
func (s story) with(yaml string, objects ...string) {
	s.Helper()
	for line := range strings.Lines(s.w.Apply(yaml)) {
		if object, created := strings.CutSuffix(strings.TrimSpace(line), " created"); created {
			s.Cleanup(func() { s.w.Kubectl("delete", "--namespace=shop", object) })
		}
	}
	s.Cleanup(func() { s.w.Apply(s.Example("shop")) })
	for _, object := range objects {
		s.w.Programmed("shop", object)
	}
}

func (s story) send(n int, header ...string) *Tally {
	load := s.Load()
	load.Header = http.Header{}
	for i := 0; i < len(header); i += 2 {
		load.Header.Set(header[i], header[i+1])
	}
	return load.Send(s.Context(), n)
}

// allReviewsTo sends every request for reviews to one version.
func allReviewsTo(version string) string {
	return `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: reviews, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: reviews}]
  rules:
  - backendRefs: [{group: isthmus.dev, kind: Subset, name: reviews-` + version + `, port: 9080}]
`
}

func everyHopIsMutualTLS(s story) {
	capture := s.w.LAN.Capture()
	tally := s.send(50)
	tally.MustLoseNothing(s)
	for service, caller := range map[string]string{"web": "public", "details": "web", "reviews": "web", "rates": "web"} {
		if got, want := strings.Join(tally.Callers(service), ","), "spiffe://isthmus.local/ns/shop/sa/"+caller; got != want {
			s.Errorf("%s saw callers %q, want %q", service, got, want)
		}
	}
	browser, public := s.Browser.IPv4, s.Machines["public"].IPv4
	for _, flow := range append(capture.Saw("Walden"), capture.Saw("looked at")...) {
		if flow.To.Addr() != browser && flow.From.Addr() != browser || flow.To.Addr() != public && flow.From.Addr() != public {
			s.Errorf("plaintext from %s to %s", flow.From, flow.To)
		}
	}
	for _, port := range []string{"9080", "15008"} {
		if out, err := s.Browser.Get("http://" + s.Machines["details1"].IPv4.String() + ":" + port + "/"); err == nil {
			s.Errorf("plaintext from outside was answered at port %s: %s", port, out)
		}
	}
}

func canary(s story) {
	s.with(s.Example("canary-10"), "httproute/reviews")
	tally := s.send(500)
	tally.MustLoseNothing(s)
	tally.MustShare(s, "reviews", "v2", 0.10, 0.05)
	s.with(s.Example("canary-50"), "httproute/reviews")
	tally = s.send(500)
	tally.MustLoseNothing(s)
	tally.MustShare(s, "reviews", "v2", 0.50, 0.08)
}

func headerMatch(s story) {
	s.with(s.Example("header-match"), "httproute/reviews")
	s.send(50, "end-user", "ada").MustShare(s, "reviews", "v3", 1, 0)
	s.send(50, "end-user", "eve").MustShare(s, "reviews", "v1", 1, 0)
	s.send(50).MustShare(s, "reviews", "v1", 1, 0)
}

func mirror(s story) {
	s.with(s.Example("mirror"), "httproute/reviews")
	before := s.Requests("rv2")
	tally := s.send(50)
	tally.MustLoseNothing(s)
	tally.MustShare(s, "reviews", "v1", 1, 0)
	Eventually(s, "v2 has received a copy of each request", func() error {
		if copies := s.Requests("rv2") - before; copies != tally.Sent() {
			return fmt.Errorf("%d copies of %d requests", copies, tally.Sent())
		}
		return nil
	})
}

func retries(s story) {
	s.with(allReviewsTo("v2"), "httproute/reviews")
	s.Turn("ratings1", "fail=0.5") // every second request that it receives
	defer s.Turn("ratings1", "")
	load := s.Load()
	load.Width = 1
	if bad := load.Send(s.Context(), 20); bad.Failed() != 10 {
		s.Errorf("without retries half should fail: %s", bad)
	}
	s.with(s.Example("retries"), "trafficpolicy/ratings-retries")
	before := s.Requests("ratings1")
	load.Send(s.Context(), 20).MustLoseNothing(s)
	if seen := s.Requests("ratings1") - before; seen < 39 {
		s.Errorf("ratings received %d requests for 20, of which every second failed", seen)
	}
}

func timeouts(s story) {
	s.with(s.Example("timeouts"), "trafficpolicy/reviews-timeouts")
	began := time.Now()
	tally := s.send(3, "x-shop-delay", "reviews=8s")
	if took := time.Since(began); tally.Status(http.StatusBadGateway) != 3 || took > 6*time.Second {
		s.Errorf("after %v: %s", took, tally)
	}
	if !strings.Contains(tally.String(), "504") {
		s.Errorf("the timeout is not what failed: %s", tally)
	}
	s.send(20).MustLoseNothing(s)
}

func faults(s story) {
	s.with(allReviewsTo("v2"), "httproute/reviews")
	s.with(strings.ReplaceAll(strings.ReplaceAll(s.Example("fault"), "2s", "1ms"), "percent: 5", "percent: 30"), "trafficpolicy/ratings-drill")
	tally := s.send(300)
	if share := float64(tally.Failed()) / float64(tally.Sent()); share < 0.2 || share > 0.4 {
		s.Errorf("%.0f %% failed, want 30: %s", share*100, tally)
	}
}

func ejection(s story) {
	s.with(s.Example("circuit-breaking"), "trafficpolicy/reviews-protection")
	s.with(strings.Replace(allReviewsTo("v1"), "{group: isthmus.dev, kind: Subset, name: reviews-v1, port: 9080}",
		"{name: reviews, port: 9080}", 1), "httproute/reviews")
	s.Turn("rv2", "fail=1")
	defer s.Turn("rv2", "")
	Eventually(s, "the instance that fails is left alone", func() error {
		if tally := s.send(30); tally.Failed() > 0 {
			return fmt.Errorf("%s", tally)
		}
		return nil
	})
}

func consistentHash(s story) {
	s.with(strings.Replace(allReviewsTo("v1"), "{group: isthmus.dev, kind: Subset, name: reviews-v1, port: 9080}",
		"{name: reviews, port: 9080}", 1), "httproute/reviews")
	s.with(`apiVersion: isthmus.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: reviews-by-user, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: reviews}]
  loadBalancing: {policy: ConsistentHash, consistentHash: {header: end-user}}
`, "trafficpolicy/reviews-by-user")
	used := map[string]bool{}
	for user := range 12 {
		tally := s.send(10, "end-user", fmt.Sprint("user-", user))
		tally.MustLoseNothing(s)
		for _, host := range []string{"rv1", "rv2", "rv3"} {
			count := tally.ByHost("reviews", host)
			used[host] = used[host] || count > 0
			if count != 0 && count != 10 {
				s.Errorf("user %d had %d of 10 requests at %s", user, count, host)
			}
		}
	}
	if len(used) < 2 || !(used["rv1"] && used["rv2"] || used["rv1"] && used["rv3"] || used["rv2"] && used["rv3"]) {
		s.Errorf("all users are at one instance: %v", used)
	}
}

func rewrite(s story) {
	s.with(s.Example("rewrite"), "httproute/details")
	out, err := s.Browser.Get(s.URL("/book/1?headers=1"))
	if err != nil || !strings.Contains(out, `"path": "/details/1?headers=1"`) || !strings.Contains(out, `"X-Shop-Entry"`) {
		s.Errorf("/book: %v: %s", err, out)
	}
	out, err = s.Browser.Get(s.URL("/volume/1"), "--write-out", "%{http_code} %{redirect_url}")
	if err != nil || !strings.Contains(out, "301 ") || !strings.HasSuffix(strings.TrimSpace(out), "/book/1") {
		s.Errorf("/volume: %v: %s", err, out)
	}
}

func grpcRoute(s story) {
	s.with(s.Example("grpc"), "grpcroute/rates")
	s.send(20).MustLoseNothing(s)
	if failed := s.send(10, "x-shop-fail", "rates=500"); failed.Failed() != 10 {
		s.Errorf("rates that fails is not noticed: %s", failed)
	}
}

func tcpRoute(s story) {
	s.with(s.Example("tcp"), "tcproute/ledger")
	tally := s.send(20)
	tally.MustLoseNothing(s)
	if tally.ByHost("ledger", "ledger1") != 20 {
		s.Error(tally)
	}
}

func tlsIngress(s story) {
	certificate, key := Certificate(s, "shop.example.com")
	desk := s.w.Desk()
	cert := desk.WriteFile("shop.pem", string(certificate))
	s.w.Kubectl("create", "secret", "tls", "shop-cert", "-n", "shop", "--cert="+cert, "--key="+desk.WriteFile("shop-key.pem", string(key)))
	s.with(s.Example("tls-ingress"), "gateway/public")
	address := s.Machines["public"].IPv4.String()
	out, err := s.Browser.Get("https://shop.example.com:8443/", "--cacert", cert, "--resolve", "shop.example.com:8443:"+address)
	if err != nil || !strings.Contains(out, `"service": "web"`) {
		s.Errorf("by the name of the certificate: %v: %s", err, out)
	}
	if out, err := s.Browser.Get("https://other.example.com:8443/", "--insecure", "--resolve", "other.example.com:8443:"+address); err == nil {
		s.Errorf("by another name it was answered: %s", out)
	}
}

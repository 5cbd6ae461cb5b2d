package meshtest

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"slices"
	"strings"
	"testing"
)

// poison is a route with an expression that Envoy refuses.
var poison = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: details, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: details}]
  rules:
  - matches: [{path: {type: RegularExpression, value: '/` + TooLarge + `'}}]
    backendRefs: [{group: "", kind: Service, name: details, port: 9080}]
  - backendRefs: [{group: "", kind: Service, name: details, port: 9080}]
`

// poisonHeader has a value that Envoy reads as an unknown command of its access log format.
const poisonHeader = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ratings, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: ratings}]
  rules:
  - filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-poison, value: "%BOGUS("}]}}]
    backendRefs: [{group: "", kind: Service, name: ratings, port: 9080}]
`

// poisonCertificate gives the gateway a key of RSA with 1024 bits, which is sound and too short for Envoy.
func (s story) poisonCertificate() {
	s.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		s.Fatal(err)
	}
	certificate, private := CertificateOf(s, key, "shop.example.com")
	desk := s.w.Desk()
	s.w.Kubectl("create", "secret", "tls", "shop-cert", "-n", "shop", "--cert="+desk.WriteFile("weak.pem", string(certificate)),
		"--key="+desk.WriteFile("weak-key.pem", string(private)))
	s.w.Apply(s.Example("tls-ingress"))
	s.w.Degraded("shop", "gateway/public", "2048-bit")
}

// degraded are the names of all objects that say so, in order.
func (s story) degraded() string {
	s.Helper()
	out := s.w.Kubectl("get", "isthmus,gateways,httproutes,grpcroutes,tcproutes,tlsroutes", "-A", "-o",
		`jsonpath={range .items[*]}{.metadata.name}:{.status..conditions[?(@.type=="Degraded")].status}{"\n"}{end}`)
	var names []string
	for line := range strings.Lines(out) {
		if name, verdicts, _ := strings.Cut(line, ":"); strings.Contains(verdicts, "True") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// What Envoy refuses hurts only the object that it was made from.
func TestPoisonHurtsOnlyItself(t *testing.T) {
	w := New(t)
	zone := w.Zone("dc1")
	s := story{t, zone.Shop()}
	tally, stop := s.Load().Start(t)

	w.Apply(poison)
	w.Degraded("shop", "httproute/details", "program size")
	if _, err := w.TryIsthmus("status"); err == nil || !strings.Contains(err.Error(), "HTTPRoute shop/details: RejectedByProxy") {
		t.Errorf("isthmus status does not say what is rejected: %v", err)
	}
	w.Apply(poisonHeader)
	w.Degraded("shop", "httproute/ratings", "BOGUS", "x-poison")
	s.poisonCertificate()
	if got, want := s.degraded(), "details public ratings"; got != want {
		t.Errorf("degraded are %q, want %q and no others", got, want)
	}

	s.with(s.Example("canary-50"), "httproute/reviews")
	s.send(300).MustShare(t, "reviews", "v2", 0.5, 0.1)

	late := w.Machine("web2")
	late.Serve("web", "--details=http://details:9080", "--reviews=http://reviews:9080")
	late.Join(zone.Token("shop", "web"), "--port=9080=http")
	Load{URL: "http://127.0.0.1:9080/", Dial: late.DialContext}.Send(t.Context(), 30).MustLoseNothing(t)

	s.with(strings.Replace(poison, TooLarge, "details", 1), "httproute/details")
	Eventually(t, "what was corrected is degraded no more", func() error {
		out, err := w.TryKubectl("get", "httproute/details", "-n", "shop", "-o", `jsonpath={.status..conditions[?(@.type=="Degraded")].status}`)
		if err == nil && strings.Contains(out, "True") {
			err = errors.New(out)
		}
		return err
	})
	stop()
	tally.MustLoseNothing(t)
}

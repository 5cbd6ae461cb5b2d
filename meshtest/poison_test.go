package meshtest

import (
	"errors"
	"strings"
	"testing"
)

// poison passes every schema and every validation, and Envoy refuses it: the program that RE2 makes of
// its expression is too large.
var poison = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: details, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: details}]
  rules:
  - matches: [{path: {type: RegularExpression, value: '/` + strings.Repeat(`(\pL{100}){10}`, 8) + `'}}]
    backendRefs: [{group: "", kind: Service, name: details, port: 9080}]
  - backendRefs: [{group: "", kind: Service, name: details, port: 9080}]
`

// What Envoy refuses hurts only the object that it was made from.
func TestPoisonHurtsOnlyItself(t *testing.T) {
	w := New(t)
	zone := w.Zone("dc1")
	s := story{t, zone.Shop()}
	tally, stop := s.Load().Start(t)

	w.Apply(poison)
	w.Kubectl("wait", "--for=condition=Degraded", "--timeout=30s", "-n", "shop", "httproute/details")
	if text := w.Kubectl("get", "httproute/details", "-n", "shop", "-o", "yaml"); !strings.Contains(text, "program size") {
		t.Errorf("Envoy's own words are not on the object:\n%s", text)
	}

	s.with(s.Example("canary-50"), "httproute/reviews")
	s.send(300).MustShare(t, "reviews", "v2", 0.5, 0.1)

	late := w.Machine("web2")
	late.Serve("web", "--details=http://details:9080", "--reviews=http://reviews:9080")
	late.Join(zone.Token("shop", "web"), "--port=9080=http")
	Load{URL: "http://127.0.0.1:9080/", Dial: late.DialContext}.Send(t.Context(), 30).MustLoseNothing(t)

	s.with(strings.Replace(poison, strings.Repeat(`(\pL{100}){10}`, 8), "details", 1), "httproute/details")
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

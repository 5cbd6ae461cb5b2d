package pilot

import (
	"strings"
	"testing"

	security "istio.io/api/security/v1beta1"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
)

const inbound = "virtualInbound"

// Peers of a federated trust domain are let in, and pass no policy for an account of the mesh.
func TestFederatedDomainsAreNoAliases(t *testing.T) {
	w := shop(t)
	w.apply(2, pack(t, "AuthorizationPolicy/shop/reviews", "1", &security.AuthorizationPolicy{Rules: []*security.Rule{{
		From: []*security.Rule_From{{Source: &security.Source{Principals: []string{trustDomain + "/ns/shop/sa/web"}}}},
	}}}))
	c := w.connect(sidecar("reviews", "reviews-1", "10.0.0.1"))
	w.awaitReceipt("reviews-1", 2)
	before := c.text(v3.ListenerType, inbound)
	if !strings.Contains(before, `"spiffe://isthmus.local/"`) || strings.Contains(before, "prod-1.example") {
		t.Fatalf("not federated: %s", before)
	}
	w.pilot.Federate([]string{"prod-1.example"})
	c.await("the federated trust domain", func() bool {
		return strings.Contains(c.text(v3.ListenerType, inbound), `"spiffe://prod-1.example/"`)
	})
	if now := c.text(v3.ListenerType, inbound); strings.Contains(now, "prod-1.example/ns") || !strings.Contains(now, `"spiffe://isthmus.local/ns/shop/sa/web"`) {
		t.Errorf("who passes the policy: %s", now)
	}
	w.pilot.Federate(nil)
	c.await("everything as before", func() bool { return c.text(v3.ListenerType, inbound) == before })
}

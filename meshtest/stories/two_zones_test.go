package stories_test

import (
	"strings"
	"testing"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// TestTwoZones runs one service in two zones of machines that reach each other through gateways: it is moved
// between them by weight, and when it dies in one zone the other serves its callers.
func TestTwoZones(t *testing.T) {
	s := &twoZones{shopZones: newShopZones(t)}
	s.build()
	mesh := s.mesh

	mesh.Run(t, "callers stay in their zone", s.nearby)
	mesh.Run(t, "weights move a service", s.weights)
	mesh.Run(t, "what lives elsewhere is called by its name", s.elsewhere)
	mesh.Run(t, "connections are led on by name", s.streams)
	mesh.Run(t, "the other zone serves", s.failover)
	mesh.Run(t, "a gateway leads to its own zone only", s.noTransit)
	mesh.Run(t, "a closed way is told before requests need it", s.preflight)
}

// twoZones is the story's stage.
type twoZones struct {
	*shopZones

	web1, web2 *meshtest.Machine // callers in dc1 and dc2
	reviews1   *meshtest.Process // the application in dc1
}

// build joins reviews and web in both zones, ratings and ledger in the second, and a gateway in each.
func (s *twoZones) build() {
	s.open("dc1")
	s.open("dc2")
	s.web1, _, _ = s.join("dc1", "web", "9080=http", "--reviews=http://reviews:9080", "--ledger=ledger:9100")
	s.web2, _, _ = s.join("dc2", "web", "9080=http", "--reviews=http://reviews:9080")
	_, s.reviews1, _ = s.join("dc1", "reviews", "9080=http")
	for service, port := range map[string]string{"reviews": "9080=http", "ratings": "9080=http", "ledger": "9100=tcp"} {
		s.join("dc2", service, port)
	}
	s.joined()
}

func (s *twoZones) nearby(t *testing.T) {
	for zone, web := range map[string]*meshtest.Machine{"dc1": s.web1, "dc2": s.web2} {
		eventuallyAll(t, web, "http://reviews:9080/", "reviews", zone)
	}
}

func (s *twoZones) weights(t *testing.T) {
	for _, share := range []int{10, 100, 50} {
		s.mesh.Apply(weights("dc1", 100-share, "dc2", share))
		s.mesh.Programmed("shop", "httproute/reviews")
		for _, web := range []*meshtest.Machine{s.web1, s.web2} {
			tally := web.Ask(400, "http://reviews:9080/")
			tally.MustLoseNothing(t)
			tally.MustShare(t, "reviews", "dc2", float64(share)/100, 0.08)
			if got := strings.Join(tally.Callers("reviews"), " "); got != "spiffe://isthmus.local/ns/shop/sa/web" {
				t.Errorf("from %s at %d %%: reviews saw callers %q", web.Name, share, got)
			}
		}
	}
	s.mesh.Kubectl("delete", "httproute", "reviews", "--namespace=shop")
}

func (s *twoZones) elsewhere(t *testing.T) {
	eventuallyAll(t, s.web1, "http://ratings:9080/", "ratings", "dc2")
}

// streams has web, in dc1, keep its books in ledger, which speaks TCP and lives in dc2.
func (s *twoZones) streams(t *testing.T) {
	eventuallyAll(t, s.web1, "http://127.0.0.1:9080/", "ledger", "dc2")
}

// failover makes the service ill in the caller's zone, and then well again.
func (s *twoZones) failover(t *testing.T) {
	eventuallyAll(t, s.web1, "http://reviews:9080/", "reviews", "dc1")
	s.reviews1.Kill()
	eventuallyAll(t, s.web1, "http://reviews:9080/", "reviews", "dc2")
	s.reviews1.Start()
	eventuallyAll(t, s.web1, "http://reviews:9080/", "reviews", "dc1")
}

// noTransit asks the gateway of one zone for what lives in the other.
func (s *twoZones) noTransit(t *testing.T) {
	for name, led := range map[string]bool{
		"reviews.shop.dc1.zone.mesh": true, "reviews.shop.zone.internal": true,
		"reviews.shop.dc2.zone.mesh": false, "reviews.shop.mesh": false, "reviews.shop.near.mesh": false,
		"ratings.shop.dc2.zone.mesh": false, "ratings.shop.zone.internal": false, "ratings.shop.near.mesh": false,
	} {
		out, _ := s.web1.Run(t.Context(), "", "sh", "-c", "echo | timeout 5 openssl s_client -connect "+s.gateways["dc1"].IPv4.String()+
			":15443 -servername outbound_.9080_._."+name+" -alpn istio 2>&1")
		if got := strings.Contains(out, "BEGIN CERTIFICATE"); got != led {
			t.Errorf("the gateway of dc1 leads to %s: %t, want %t\n%s", name, got, led, out)
		}
	}
}

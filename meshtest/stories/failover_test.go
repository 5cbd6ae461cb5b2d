package stories_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// TestFailover takes away what answers callers of dc1 while they ask 200 times a second: the application, its machine
// and a whole other zone. Nobody has to notice: their own proxies try elsewhere, and no request fails.
func TestFailover(t *testing.T) {
	s := &takeover{threeZones: &threeZones{shopZones: newShopZones(t)}}
	s.build()
	s.mesh.Run(t, "the application is killed", s.application)
	s.mesh.Run(t, "its machine vanishes, and the hub is away", s.machine)
	s.mesh.Run(t, "another zone vanishes", s.zone)
}

// takeover is the stage of three zones, with details in two of them and a caller of it in the third.
type takeover struct {
	*threeZones
	other   *meshtest.Machine            // a caller of details, in dc1
	details map[string]*meshtest.Machine // by zone
}

func (s *takeover) build() {
	s.threeZones.build()
	s.other, _, _ = s.joinAs("other1", "dc1", "web", "9080=http", "--details="+detailsURL)
	s.details = map[string]*meshtest.Machine{}
	for _, zone := range []string{"dc2", "dc3"} {
		s.details[zone], _, _ = s.join(zone, "details", "9080=http")
	}
	s.joined()
}

const detailsURL = "http://details:9080"

func (s *takeover) application(t *testing.T) {
	eventuallyAll(t, s.web, reviewsURL, "reviews", "dc1")
	s.loseNothing(t, s.web, "reviews", s.reviews["dc1"].Kill, "dc2", "dc3")
	s.reviews["dc1"].Start()
	eventuallyAll(t, s.web, reviewsURL, "reviews", "dc1")
}

// askAgain has callers give up an attempt after a second, and ask again. What a proxy has sent on an open connection to
// a machine that vanishes is not known to be lost, and would else wait as long as the caller does.
var askAgain = policyOf("ask-again", "{kind: Service, name: reviews}, {kind: Service, name: details}",
	"  retries: {attempts: 2, perTryTimeout: 1s, retryOn: [connect-failure, refused-stream, unavailable, reset]}")

func (s *takeover) machine(t *testing.T) {
	s.mesh.Apply(askAgain)
	s.mesh.Programmed("shop", "trafficpolicy/ask-again")
	hub := s.mesh.Hub()
	hub.Kill()
	s.loseNothing(t, s.web, "reviews", s.reviews["dc1"].machine.Cut, "dc2", "dc3")
	s.reviews["dc1"].machine.Heal()
	hub.Start()
	hub.WaitReady()
	eventuallyAll(t, s.web, reviewsURL, "reviews", "dc1")
}

func (s *takeover) zone(t *testing.T) {
	eventuallyShared(t, s.other, detailsURL, "details", "dc2", "dc3")
	gone := []*meshtest.Machine{s.zones["dc2"].Edges[0].Machine, s.gateways["dc2"], s.details["dc2"], s.reviews["dc2"].machine}
	s.loseNothing(t, s.other, "details", func() {
		for _, machine := range gone {
			machine.Cut()
		}
	}, "dc3")
}

// loseNothing lets something happen under load, until the zones that are left have answered the load of some seconds.
func (s *takeover) loseNothing(t *testing.T, from *meshtest.Machine, service string, happens func(), left ...string) {
	t.Helper()
	const rate = 200
	tally, stop := meshtest.Load{URL: "http://127.0.0.1:9080/", Rate: rate, Timeout: 30 * time.Second, Dial: from.DialContext}.Start(t)
	answered := func() (sum int) {
		for _, zone := range left {
			sum += tally.ByVersion(service, zone)
		}
		return sum
	}
	tally.GoesOn(t, rate)
	tally.Note("it happens")
	happens()
	before := answered()
	meshtest.Eventually(t, "the rest answers", func() error {
		if sum := answered() - before; sum < 5*rate {
			return fmt.Errorf("%d answers: %s", sum, tally)
		}
		return nil
	})
	stop()
	took := tally.Took()
	t.Logf("slowest %v, of %d\n%s\n%s", took[max(0, len(took)-5):], len(took), tally.Timeline(service), tally)
	tally.MustLoseNothing(t)
}

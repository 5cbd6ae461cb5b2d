package stories_test

import (
	"testing"

	"github.com/isthmus-mesh/isthmus/examples"
	"github.com/isthmus-mesh/isthmus/meshtest"
)

// TestThreeZones runs one service in three zones of machines, the first two in one region, with the policy of
// examples/failover.yaml: when it dies in its callers' zone, all their requests go to the zone beside it, and only when
// it dies there too, to the one far away.
func TestThreeZones(t *testing.T) {
	s := &threeZones{shopZones: newShopZones(t)}
	s.build()
	s.mesh.Run(t, "callers stay in their zone", s.nearby)
	s.mesh.Run(t, "without a policy all other zones share", s.alike)
	s.mesh.Run(t, "the zones of a region share", s.region)
	s.mesh.Run(t, "the region takes over, and then the rest", s.failover)
}

// threeZones is the story's stage.
type threeZones struct {
	*shopZones

	web     *meshtest.Machine // a caller in dc1
	reviews map[string]*reviewsIn
}

// reviewsIn is the application in one zone.
type reviewsIn struct {
	machine *meshtest.Machine
	*meshtest.Process
	agent *meshtest.Agent
}

func (s *threeZones) build() {
	s.open("dc1", "--region=west")
	s.open("dc2", "--region=west")
	s.open("dc3", "--region=east")
	s.web, _, _ = s.join("dc1", "web", "9080=http", "--reviews=http://reviews:9080")
	s.reviews = map[string]*reviewsIn{}
	for zone := range s.zones {
		machine, app, agent := s.join(zone, "reviews", "9080=http")
		s.reviews[zone] = &reviewsIn{machine, app, agent}
	}
	s.joined()
}

func (s *threeZones) nearby(t *testing.T) { eventuallyAll(t, s.web, reviewsURL, "reviews", "dc1") }

// alike shows what the policy is there for.
func (s *threeZones) alike(t *testing.T) {
	s.moves(t, func() { s.reviews["dc1"].machine.Turn("health=bad") }, "dc2", "dc3").MustLoseNothing(t)
	tally := s.web.Ask(400, reviewsURL)
	tally.MustLoseNothing(t)
	tally.MustShare(t, "reviews", "dc3", 0.5, 0.1)
	s.moves(t, func() { s.reviews["dc1"].machine.Turn("") }, "dc1").MustLoseNothing(t)
}

func (s *threeZones) region(t *testing.T) {
	s.mesh.Apply(preferRegion)
	s.mesh.Programmed("shop", "trafficpolicy/reviews-failover")
	tally := s.web.Ask(400, reviewsURL)
	tally.MustLoseNothing(t)
	tally.MustShare(t, "reviews", "dc1", 0.5, 0.1)
	tally.MustShare(t, "reviews", "dc2", 0.5, 0.1)
}

var preferRegion = policyOf("reviews-failover", "{kind: Service, name: reviews}", "  failover: {prefer: Region}")

func (s *threeZones) failover(t *testing.T) {
	text, err := examples.Files.ReadFile("failover.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s.mesh.Apply(string(text))
	s.mesh.Programmed("shop", "trafficpolicy/reviews-failover")
	s.moves(t, func() { s.reviews["dc1"].machine.Turn("health=bad") }, "dc2").MustLoseNothing(t)
	s.only(t, "dc2")
	s.dies(t, "dc2", "dc3")
	s.only(t, "dc3")
	s.moves(t, s.reviews["dc2"].Start, "dc2").MustLoseNothing(t)
	s.only(t, "dc2")
	s.moves(t, func() { s.reviews["dc1"].machine.Turn("") }, "dc1").MustLoseNothing(t)
	s.dies(t, "dc1", "dc2")
	s.only(t, "dc2")
	s.moves(t, s.reviews["dc1"].Start, "dc1").MustLoseNothing(t)
	s.moves(t, s.leave("dc1"), "dc2").MustLoseNothing(t)
}

// moves lets something happen under load, waits until requests go to these zones and no others, and returns what
// became of the load.
func (s *threeZones) moves(t *testing.T, happens func(), zones ...string) *meshtest.Tally {
	t.Helper()
	tally, stop := meshtest.Load{URL: "http://127.0.0.1:9080/", Rate: 100, Dial: s.web.DialContext}.Start(t)
	happens()
	eventuallyShared(t, s.web, reviewsURL, "reviews", zones...)
	stop()
	t.Logf("to %v: %s", zones, tally)
	return tally
}

// only counts on: every request is answered in one zone.
func (s *threeZones) only(t *testing.T, zone string) {
	t.Helper()
	tally := s.web.Ask(300, reviewsURL)
	tally.MustLoseNothing(t)
	tally.MustShare(t, "reviews", zone, 1, 0)
}

// dies kills the application in one zone: another one answers its callers.
func (s *threeZones) dies(t *testing.T, from, to string) {
	t.Helper()
	s.moves(t, s.reviews[from].Kill, to).MustLoseNothing(t)
}

// leave takes a zone's only workload out of the mesh.
func (s *threeZones) leave(zone string) func() {
	return func() {
		if err := s.reviews[zone].agent.Leave(); err != nil {
			s.Error(err)
		}
	}
}

package stories_test

import (
	"errors"
	"slices"
	"time"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// promptCanary shifts all requests for reviews again and again while a browser asks, and looks how long after
// "isthmus apply" has returned the first answer of the other version comes. The issue gives a second; one of ten may
// take longer, because the machine is not ours alone.
func promptCanary(w world) {
	const bound, rounds, late = time.Second, 10, 1
	w.apply(somewhere("v1"), "httproute/reviews")
	paths := map[string]string{}
	for _, version := range []string{"v1", "v3"} {
		paths[version] = w.mesh.Desk().WriteFile("reviews-"+version+".yaml", somewhere(version))
	}
	load := w.Load()
	load.Rate = 20 // a second; each is six calls
	tally, stop := load.Start(w)
	var took []time.Duration
	for round := range rounds {
		version := []string{"v3", "v1"}[round%2]
		w.mesh.Isthmus("apply", "--filename="+paths[version])
		before := tally.ByVersion("reviews", version)
		took = append(took, meshtest.Eventually(w, "requests reach "+version, func() error {
			if tally.ByVersion("reviews", version) == before {
				return errors.New(tally.String())
			}
			return nil
		}))
		w.programmed("httproute/reviews")
	}
	stop()
	tally.MustLoseNothing(w)
	slices.Sort(took)
	w.Logf("requests followed after %v", took)
	if took[rounds-1-late] > bound {
		w.Errorf("requests should follow within %v, followed after %v", bound, took)
	}
}

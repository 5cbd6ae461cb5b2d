package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

const (
	failoverRate = 200 // requests a second
	// failoverTime is how long requests are counted after something was taken away.
	failoverTime = 20 * time.Second
)

// failoverPolicy has callers try again, elsewhere, and prefers their own zone.
const failoverPolicy = `apiVersion: isthmus.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: reviews, namespace: bench}
spec:
  targetRefs: [{kind: Service, name: reviews}]
  failover: {prefer: Zone}
  retries: {attempts: 3, perTryTimeout: 500ms, retryOn: [5xx, connect-failure, refused-stream]}
`

// BenchmarkFailover takes what serves a caller away, under load: how many requests fail, and for how long.
func BenchmarkFailover(b *testing.B) {
	f := newFailover(b)
	own, other := f.zones["dc1"], f.zones["dc2"]
	f.row("own application killed", own.app.Kill, own.app.Start)
	f.row("own machine vanished", own.reviews.Cut, own.reviews.Heal)
	own.app.Kill() // from here on the others share the requests
	f.served("dc2", "dc3")
	f.row("application of one of two other zones killed", other.app.Kill, other.app.Start, "dc2", "dc3")
	f.row("one of two other zones vanished", func() { other.each((*meshtest.Machine).Cut) }, func() { other.each((*meshtest.Machine).Heal) }, "dc2", "dc3")
}

// failover is a caller in dc1, and a service in three zones, each of which has one workload of it.
type failover struct {
	*testing.B
	mesh  *meshtest.World
	web   *meshtest.Machine
	zones map[string]*failoverZone
}

type failoverZone struct {
	*meshtest.Zone
	gateway, reviews *meshtest.Machine
	app              *meshtest.Process
}

func newFailover(b *testing.B) *failover {
	f := &failover{B: b, mesh: meshtest.New(b), zones: map[string]*failoverZone{}}
	f.mesh.Hub()
	f.mesh.Apply(awayIntent)
	for _, name := range []string{"dc1", "dc2", "dc3"} {
		z := &failoverZone{Zone: f.mesh.Zone(name)}
		z.gateway = enter(f.mesh, z.Zone)
		z.reviews, z.app = f.join(z, "reviews")
		f.zones[name] = z
	}
	f.web, _ = f.join(f.zones["dc1"], "web", "--reviews=http://reviews:9080")
	f.mesh.Apply(failoverPolicy)
	f.mesh.Programmed(workspace, "trafficpolicy/reviews")
	f.served("dc1")
	return f
}

// join runs a service on a machine of its own; its version is its zone.
func (f *failover) join(z *failoverZone, service string, flags ...string) (*meshtest.Machine, *meshtest.Process) {
	m := f.mesh.Machine(service + strings.TrimPrefix(z.Name, "dc"))
	app := m.Serve(service, append(flags, "--version="+z.Name)...)
	m.Join(z.Token(workspace, service), "--port=9080=http", "--version="+z.Name, "--check=http://127.0.0.1:9080/health")
	return m, app
}

// each does something to all machines of a zone.
func (z *failoverZone) each(do func(*meshtest.Machine)) {
	for _, m := range []*meshtest.Machine{z.Edges[0].Machine, z.gateway, z.reviews} {
		do(m)
	}
}

// served waits until these zones answer the caller, and no others.
func (f *failover) served(zones ...string) {
	f.Helper()
	meshtest.Eventually(f, fmt.Sprintf("%v serve", zones), func() error {
		tally, sum := f.web.Ask(30, "http://reviews:9080/"), 0
		for _, zone := range zones {
			if n := tally.ByVersion("reviews", zone); n > 0 {
				sum += n
				continue
			}
			return fmt.Errorf("%s", tally)
		}
		if sum != 30 {
			return fmt.Errorf("%s", tally)
		}
		return nil
	})
}

// row takes something away, counts, and gives it back; then the zones serve that served before, dc1 unless others are
// named.
func (f *failover) row(name string, take, give func(), before ...string) {
	f.Helper()
	tally, stop := meshtest.Load{URL: "http://127.0.0.1:9080/", Rate: failoverRate, Dial: f.web.DialContext}.Start(f)
	tally.GoesOn(f, failoverRate)
	began := time.Now()
	take()
	select {
	case <-f.Context().Done():
	case <-time.After(failoverTime): // the time is what is measured
	}
	stop()
	clean := 0.0
	if last := tally.LastLost(); !last.IsZero() {
		clean = last.Sub(began).Seconds()
	}
	took := tally.Took()
	f.Logf("%s: %d of %d requests failed, clean after %.1f s, slowest answer %v\n%v\n%s", name, tally.Failed(), tally.Sent(), clean,
		took[len(took)-1].Round(time.Millisecond), tally.Failures(), tally.Timeline("reviews"))
	give()
	if len(before) == 0 {
		before = []string{"dc1"}
	}
	f.served(before...)
}

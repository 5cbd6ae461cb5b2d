package hub_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// BenchmarkChangeReachesTheEdge measures from before a write to its answer, and to the edge's having
// the change: API server, storage, compiler and feed, over TLS.
func BenchmarkChangeReachesTheEdge(b *testing.B) {
	w := newWorld(b)
	w.apply(mesh)
	e := w.join("edge-1", workload("reviews-1", "v1"))
	w.apply(route("reviews", "start"))
	w.becomes("HTTPRoute", "shop", "reviews", "Programmed", "True")
	var answered, arrived []time.Duration
	for i := 0; b.Loop(); i++ {
		for len(e.arrivals) > 0 {
			<-e.arrivals
		}
		o := parse(b, route("reviews", fmt.Sprint(i)))
		start := time.Now()
		if err := w.tryPut(o); err != nil {
			b.Fatal(err)
		}
		answered = append(answered, time.Since(start))
		arrived = append(arrived, (<-e.arrivals).Sub(start))
	}
	report(b, answered, "write")
	report(b, arrived, "edge")
}

func report(b *testing.B, took []time.Duration, what string) {
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	b.ReportMetric(ms(took[len(took)/2]), what+"-p50-ms")
	b.ReportMetric(ms(took[len(took)*99/100]), what+"-p99-ms")
}

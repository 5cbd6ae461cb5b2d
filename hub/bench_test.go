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
	b.ReportMetric(w.mean("isthmus_hub_publish_seconds")*1000, "read-to-publish-ms")
}

// mean is what a histogram's observations were on average.
func (w *world) mean(name string) float64 {
	families, err := w.metrics.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, family := range families {
		if h := family.Metric[0].GetHistogram(); family.GetName() == name && h.GetSampleCount() > 0 {
			return h.GetSampleSum() / float64(h.GetSampleCount())
		}
	}
	return 0
}

func report(b *testing.B, took []time.Duration, what string) {
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	b.ReportMetric(ms(took[len(took)/2]), what+"-p50-ms")
	b.ReportMetric(ms(took[len(took)*99/100]), what+"-p99-ms")
}

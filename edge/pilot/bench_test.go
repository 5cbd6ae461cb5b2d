package pilot

import (
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"syscall"
	"testing"
	"time"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// BenchmarkRouteChange is the time from Apply to the last proxy's acknowledgement of one changed route, with 20
// services in scope. Proxies are in this process and share its processors; on a busy machine, processor time says more.
func BenchmarkRouteChange(b *testing.B) {
	for _, proxies := range []int{1, 100, 1000, 2000} {
		b.Run(fmt.Sprint(proxies), func(b *testing.B) {
			w := crowd(b, proxies)
			n, began := 0, processorTime(b)
			for b.Loop() {
				n++
				revision := w.pilot.revision + 1
				w.apply(revision, hostRoute(b, "s0", fmt.Sprint(revision), fmt.Sprint(revision)))
				w.awaitAll(proxies, revision)
			}
			b.ReportMetric(float64((processorTime(b)-began).Microseconds())/1000/float64(n), "cpu-ms/op")
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.HeapInuse)/float64(proxies)/1024, "KiB/proxy")
		})
	}
}

// processorTime is what the process has used so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	check(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkConnect is the time in which 500 proxies connect at once and acknowledge everything.
func BenchmarkConnect(b *testing.B) {
	for b.Loop() {
		crowd(b, 500)
	}
}

// crowd is a world with that many proxies connected and up to date.
func crowd(b *testing.B, proxies int) *world {
	w := newWorld(b)
	w.pilot.log = slog.New(slog.NewTextHandler(io.Discard, nil))
	resources := []*feedpb.Resource{pack(b, "Sidecar/shop/default", "1", &networking.Sidecar{
		Egress: []*networking.IstioEgressListener{{Hosts: []string{"shop/*"}}},
	})}
	for i := range 20 {
		resources = append(resources, shopService(b, fmt.Sprintf("s%d", i), fmt.Sprintf("240.0.1.%d", i), 9080, "HTTP"))
	}
	var workloads []Workload
	for i := range proxies {
		workloads = append(workloads, sidecar(fmt.Sprintf("s%d", i%20), fmt.Sprintf("p-%d", i), fmt.Sprintf("10.0.%d.%d", i/250, i%250+1)))
	}
	w.pilot.SetWorkloads(workloads, nil)
	w.apply(1, resources...)
	for _, workload := range workloads {
		w.connect(workload)
	}
	w.awaitAll(proxies, 1)
	return w
}

func (w *world) awaitAll(proxies int, revision int64) {
	w.t.Helper()
	w.events.await(w.t, "all receipts", func() bool {
		n := 0
		for _, r := range w.events.receipts {
			if r >= revision {
				n++
			}
		}
		return n == proxies
	})
}

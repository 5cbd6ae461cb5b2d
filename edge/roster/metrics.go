package roster

import "github.com/prometheus/client_golang/prometheus"

// gauges count workloads at the moment they are asked.
func (r *Roster) gauges() []prometheus.Collector {
	gauge := func(name, help string, counts func(*Workload) bool) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "isthmus", Subsystem: "edge", Name: name, Help: help}, func() float64 {
			n := 0
			for _, w := range r.All() {
				if counts(w) {
					n++
				}
			}
			return float64(n)
		})
	}
	return []prometheus.Collector{
		gauge("workloads", "Workloads registered.", func(*Workload) bool { return true }),
		gauge("workloads_healthy", "Workloads that are called.", func(w *Workload) bool { return w.Healthy }),
		gauge("workloads_attended", "Workloads whose agents are connected.", func(w *Workload) bool { return w.Connected }),
	}
}

package feed

import "github.com/prometheus/client_golang/prometheus"

// metrics are the server's counters.
type metrics struct {
	streams   prometheus.Gauge
	revisions prometheus.Counter
	resources prometheus.Counter
	bytes     prometheus.Counter
	refused   *prometheus.CounterVec
	nacked    *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "isthmus", Subsystem: "feed", Name: name, Help: help})
	}
	m := &metrics{
		streams:   prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "isthmus", Subsystem: "feed", Name: "streams", Help: "Edges' configuration streams open now."}),
		revisions: counter("revisions_sent_total", "Revisions sent to edges, whole."),
		resources: counter("resources_sent_total", "Resources sent to edges, removals included."),
		bytes:     counter("bytes_sent_total", "Bytes of configuration sent to edges, before compression and encryption."),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "isthmus", Subsystem: "feed", Name: "refused_total",
			Help: "Calls of edges refused, by call and reason."}, []string{"call", "reason"}),
		nacked: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "isthmus", Subsystem: "feed", Name: "revisions_refused_total",
			Help: "Revisions that an edge refused."}, []string{"zone"}),
	}
	if registerer != nil {
		registerer.MustRegister(m.streams, m.revisions, m.resources, m.bytes, m.refused, m.nacked)
	}
	return m
}

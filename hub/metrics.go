package hub

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the hub's counters.
type metrics struct {
	compile, publish, programme prometheus.Histogram
	statuses, admissions        *prometheus.CounterVec
	edges                       *prometheus.GaugeVec
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	histogram := func(name, help string, from float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "isthmus", Subsystem: "hub", Name: name, Help: help,
			Buckets: prometheus.ExponentialBuckets(from, 2, 16)})
	}
	m := &metrics{
		compile:   histogram("compile_seconds", "Time to take what changed and compile it.", 0.0001),
		publish:   histogram("publish_seconds", "Time from reading a change of intent in storage to its being published to the feed.", 0.0001),
		programme: histogram("programmed_seconds", "Time from publishing an object to the last proxy concerned running it.", 0.001),
		statuses: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "isthmus", Subsystem: "hub", Name: "status_writes_total",
			Help: "Statuses of objects written, by result."}, []string{"result"}),
		admissions: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "isthmus", Subsystem: "hub", Name: "admissions_total",
			Help: "Edges admitted and renewed, and tokens of workloads redeemed."}, []string{"what"}),
		edges: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "isthmus", Subsystem: "hub", Name: "edges",
			Help: "Edges connected, by zone."}, []string{"zone"}),
	}
	registerer.MustRegister(m.compile, m.publish, m.programme, m.statuses, m.admissions, m.edges)
	return m
}

func (m *metrics) compiled(d time.Duration)   { m.compile.Observe(d.Seconds()) }
func (m *metrics) published(d time.Duration)  { m.publish.Observe(d.Seconds()) }
func (m *metrics) programmed(d time.Duration) { m.programme.Observe(d.Seconds()) }

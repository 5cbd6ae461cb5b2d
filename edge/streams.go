package edge

import (
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
)

// refusedStreams counts the proxies that were refused their configuration: for want of an identity, or because
// they ask as another workload.
type refusedStreams struct{ count func() map[codes.Code]int }

var refusedStreamsDesc = prometheus.NewDesc("isthmus_edge_refused_streams_total", "Proxies refused configuration, by code.", []string{"code"}, nil)

// Describe implements [prometheus.Collector].
func (refusedStreams) Describe(to chan<- *prometheus.Desc) { to <- refusedStreamsDesc }

// Collect implements [prometheus.Collector].
func (r refusedStreams) Collect(to chan<- prometheus.Metric) {
	for code, n := range r.count() {
		to <- prometheus.MustNewConstMetric(refusedStreamsDesc, prometheus.CounterValue, float64(n), code.String())
	}
}

package apiserver

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	handlermetrics "k8s.io/apiserver/pkg/endpoints/handlers/metrics"
	apimetrics "k8s.io/apiserver/pkg/endpoints/metrics"
	cachermetrics "k8s.io/apiserver/pkg/storage/cacher/metrics"
	etcdmetrics "k8s.io/apiserver/pkg/storage/etcd3/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

// merged gathers from several registries; a family that two of them have (go_…, process_…) is taken
// from the first.
type merged []prometheus.Gatherer

func (m merged) Gather() ([]*dto.MetricFamily, error) {
	seen := map[string]bool{}
	var all []*dto.MetricFamily
	for _, registry := range m {
		families, err := registry.Gather()
		if err != nil {
			return all, err
		}
		for _, family := range families {
			if !seen[family.GetName()] {
				seen[family.GetName()] = true
				all = append(all, family)
			}
		}
	}
	return all, nil
}

// metricsHandler serves the API server's metrics, and those of etcd and of the rest of the hub, which
// are in Prometheus' default registry.
func metricsHandler() http.Handler {
	for _, register := range []func(){apimetrics.Register, cachermetrics.Register, etcdmetrics.Register, handlermetrics.Register} {
		register() // each does so once
	}
	return promhttp.HandlerFor(merged{legacyregistry.DefaultGatherer, prometheus.DefaultGatherer}, promhttp.HandlerOpts{})
}

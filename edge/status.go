package edge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// status answers machines and people that look after the edge.
type status struct {
	ready      atomic.Bool
	conditions *conditions
	metrics    *prometheus.Registry
}

// serve answers until ctx ends; with an empty address it only waits.
func (s *status) serve(ctx context.Context, address string) error {
	if address == "" {
		<-ctx.Done()
		return nil
	}
	l, err := listen(address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *status) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { s.write(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !s.ready.Load() {
			http.Error(w, "nothing is served yet: the edge waits for its first configuration from the hub", http.StatusServiceUnavailable)
			return
		}
		s.write(w, "ready")
	})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	return mux
}

// write answers a word, and what is wrong in a line each.
func (s *status) write(w http.ResponseWriter, word string) {
	fmt.Fprintln(w, word)
	for _, c := range s.conditions.all() {
		fmt.Fprintf(w, "%s: %s\n", c.Type, c.Message)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/isthmus-mesh/isthmus/meshtest/swarm"
)

func measure(ctx context.Context, bin string, sizes []int, changes int, profiles string, peers peers) (err error) {
	w, err := newWorld(ctx, bin)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	s, err := startSwarm()
	if err != nil {
		return err
	}
	defer func() { _ = s.Process.Kill(); _ = s.Wait() }()
	fmt.Printf("| proxies | change → all acknowledged p50 / p99 | stock istiod p50 / p99 | stock ÷ ours p50 / p99 | stock istiod + API server with etcd, RSS | bytes a change | health → all callers p50 / p99 | sent for it | hub + edge RSS | RSS ÷ proxies |\n")
	fmt.Printf("|---|---|---|---|---|---|---|---|---|---|\n")
	for _, size := range sizes {
		if err := measureSize(ctx, w, s, size, changes, peers[size]); err != nil {
			return fmt.Errorf("%d proxies: %w", size, err)
		}
		if err := keepProfiles(ctx, w, profiles, size); err != nil {
			return err
		}
	}
	return measureRestart(w, s)
}

func measureSize(ctx context.Context, w *world, s *swarmProcess, size, changes int, stock peer) error {
	progress("joining up to %d proxies", size)
	recruits, err := w.recruit(ctx, size-w.members)
	if err != nil {
		return err
	}
	if err := eventually(ctx, "edge", func() error { _, err := s.ask(order{Join: recruits}); return err }); err != nil {
		return err
	}
	settleRoute(ctx, w, s)
	progress("changing a route %d times", changes)
	delays, bytes, err := measureChanges(ctx, w, s, size, changes)
	if err != nil {
		return err
	}
	health, types, err := measureHealth(s, size, changes)
	if err != nil {
		return err
	}
	memory := w.hub.residentMB() + w.edge.residentMB()
	p50, p99 := percentile(delays, 50), percentile(delays, 99)
	fmt.Printf("| %d | %.0f / %.0f ms | %s | %d | %s | %s | %.0f MB (hub %.0f, edge %.0f) | %.2f MB |\n", size, p50, p99, stock.beside(p50, p99, memory),
		bytes, health, types, memory, w.hub.residentMB(), w.edge.residentMB(), memory/float64(size))
	return nil
}

// settleRoute makes one change that is not measured, after which every proxy has the route.
func settleRoute(ctx context.Context, w *world, s *swarmProcess) {
	_, _, _ = measureChanges(ctx, w, s, w.members, 1)
}

var marker int

func measureChanges(ctx context.Context, w *world, s *swarmProcess, size, changes int) (delays []float64, bytes int64, err error) {
	for range changes {
		marker++
		text := fmt.Sprintf("bench-%06d", marker)
		if err := s.send(order{Expect: text, Type: swarm.Routes}); err != nil {
			return nil, 0, err
		}
		if _, err := s.receive(); err != nil { // armed
			return nil, 0, err
		}
		began := time.Now()
		if err := w.change(ctx, text); err != nil {
			return nil, 0, err
		}
		a, err := s.receive()
		if err != nil {
			return nil, 0, err
		}
		delays = append(delays, float64(a.Last-began.UnixNano())/1e6)
		bytes += a.Bytes
	}
	return delays, bytes / int64(changes), nil
}

// measureHealth flips the first workload's health; every other proxy must get its service's endpoints anew.
func measureHealth(s *swarmProcess, size, changes int) (figures, types string, err error) {
	if size < 2 {
		return "–", "–", nil
	}
	var delays []float64
	sent := map[string]bool{}
	for range changes {
		s.ill = !s.ill
		healthy := !s.ill
		a, err := s.ask(order{Expect: "svc-00." + workspace + ".mesh", Type: swarm.Endpoints, Health: &healthy})
		if err != nil {
			return "", "", err
		}
		delays = append(delays, float64(a.Last-a.First)/1e6)
		sent[strings.ReplaceAll(a.Types, typePrefix, "")] = true
	}
	return fmt.Sprintf("%.1f / %.1f ms", percentile(delays, 50), percentile(delays, 99)), strings.Join(slices.Sorted(maps.Keys(sent)), " or "), nil
}

// typePrefix says nothing to the reader of a table.
const typePrefix = "type.googleapis.com/envoy.config.endpoint.v3."

func measureRestart(w *world, s *swarmProcess) error {
	progress("restarting the edge under %d proxies", w.members)
	if err := s.send(order{Settle: true}); err != nil {
		return err
	}
	if _, err := s.receive(); err != nil {
		return err
	}
	began, err := w.restartEdge()
	if err != nil {
		return err
	}
	time.Sleep(300 * time.Millisecond) // every stream has noticed by then; counted in the result
	a, err := s.ask(order{Settle: true})
	if err != nil {
		return err
	}
	fmt.Printf("\nAfter `kill -9` of the edge all %d proxies were back in %.1f s; %d resources, %d bytes were sent to them.\n",
		w.members, float64(a.Last-began.UnixNano())/1e9, a.Resources, a.Bytes)
	return nil
}

// percentile is the nearest-rank percentile; 0 without values.
func percentile(values []float64, p int) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}

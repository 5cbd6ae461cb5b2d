package status

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/api/problem"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func TestBoard(t *testing.T) {
	now := noon
	b := NewBoard(func() time.Time { return now })
	b.Put("edge", problem.EdgeAway, "first")
	now = now.Add(time.Minute)
	b.Put("edge", problem.EdgeAway, "second")
	b.Put("envoy", problem.EnvoyMissing, "none")
	b.Put("cache", problem.CacheDamaged, "")
	list := b.Warnings()
	if len(list) != 2 || list[0].Text != "second" || !list[0].Since.Equal(noon) || list[1].Code != problem.EnvoyMissing.Code {
		t.Errorf("%+v", list)
	}
	b.Put("edge", problem.EnvoyNotReady, "another problem")
	if list := b.Warnings(); !list[0].Since.Equal(now) {
		t.Errorf("%+v", list)
	}
	b.Put("edge", problem.EdgeAway, "")
	b.Clear("envoy")
	if list := b.Warnings(); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

func sample() *Report {
	return &Report{
		Ready: true, Workload: "reviews-1", Identity: "spiffe://isthmus.local/ns/shop/sa/reviews", Role: "workload",
		Zone: "dc1", Workspace: "shop", Service: "reviews", Edge: "10.0.0.1:15012", Edges: []string{"10.0.0.1:15012", "10.0.0.2:15012"},
		CertificateEnds: noon.Add(time.Hour), Capture: "redirected", Names: 3,
		Envoy: EnvoyReport{Ready: true, State: "LIVE", PID: 7, Listeners: 2, Clusters: 5, MemoryBytes: 60 << 20, Holds: map[string]int{"Listener": 2, "Cluster": 5}},
		Agent: AgentReport{Version: "v1", PID: 6, Started: noon.Add(-time.Minute), MemoryBytes: 20 << 20},
	}
}

func TestWords(t *testing.T) {
	r := sample()
	var got strings.Builder
	if err := r.Write(&got, noon); err != nil {
		t.Fatal(err)
	}
	const well = `Workload  reviews-1 (workload of reviews.shop in zone dc1)
Identity  spiffe://isthmus.local/ns/shop/sa/reviews, certificate until 2026-01-02T13:00:00Z (1h0m0s left)
Edge      10.0.0.1:15012; known: 10.0.0.1:15012, 10.0.0.2:15012
Envoy     live, pid 7, 2 listeners, 5 clusters, 0 connections, 60 MB; on disk 5 Cluster, 2 Listener
Capture   redirected
Names     3 resolved here
Agent     v1, pid 6, up 1m0s, 20 MB

All is well.
`
	if got.String() != well {
		t.Errorf("got:\n%s\nwant:\n%s", &got, well)
	}
	r.Envoy.Ended = "Envoy ended by itself once, at 2026-01-02T12:00:00Z"
	if line, want := r.Envoy.line(), "2 Listener; "+r.Envoy.Ended; !strings.HasSuffix(line, want) {
		t.Errorf("got %q, want %q at its end", line, want)
	}
	b := NewBoard(func() time.Time { return noon })
	b.Set("edge", problem.EdgeAway, "10.0.0.1:15012: connection refused")
	r.Warnings, r.Envoy.PID, r.Names = b.Warnings(), 0, -1
	got.Reset()
	if err := r.Write(&got, noon); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Envoy     not running\n", "\nISM5001  " + problem.EdgeAway.Meaning + "\n  10.0.0.1:15012: connection refused\n  What to do: " + problem.EdgeAway.Remedy + ".\n"} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("got:\n%s\nwant a part:\n%s", &got, want)
		}
	}
}

func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if _, err := Ask(t.Context(), path); !errors.Is(err, ErrNotRunning) {
		t.Errorf("without a socket: %v", err)
	}
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := Listen(path); err == nil {
		t.Error("two agents on one socket")
	}
	ctx, cancel := context.WithCancel(t.Context())
	answers, done := make(chan error, 2), make(chan error)
	answers <- errors.New("not today")
	answers <- nil
	go func() {
		done <- Serve(ctx, l, func(context.Context) *Report { return sample() }, func(context.Context) error { return <-answers })
	}()
	if report, err := Ask(ctx, path); err != nil || report.Envoy.Holds["Cluster"] != 5 {
		t.Errorf("%+v, %v", report, err)
	}
	if err := Leave(ctx, path); err == nil || !strings.Contains(err.Error(), "not today") {
		t.Error(err)
	}
	if err := Leave(ctx, path); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil { // of an agent that was killed
		t.Fatal(err)
	}
	l, err = Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/tools/envoy"
)

// Addresses of the two pairs. Agents and bare Envoys get loopback addresses of their own.
const (
	meshClient, meshServer = "127.3.0.1", "127.3.0.2"
	bareClient, bareServer = "127.3.0.3", "127.3.0.4"
	servicePort            = 19080
	entryPort              = 19081
)

// measureOverhead sends the same load through two agents' Envoys and through two Envoys with
// hand-written configuration, in turns, and prints the ratios.
func measureOverhead(ctx context.Context, bin string, rounds int) (err error) {
	program, err := envoy.Path(ctx, os.Stderr)
	if err != nil {
		return err
	}
	app, err := serveApp()
	if err != nil {
		return err
	}
	defer app.Close()
	w, err := newWorld(ctx, bin)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	agents, joined, err := w.startPair(ctx, program, appPort(app))
	defer stopAll(agents)
	if err != nil {
		return err
	}
	bare, err := startBarePair(w.dir, program, appPort(app))
	defer stopAll(bare)
	if err != nil {
		return err
	}
	return compare(ctx, agents, joined, rounds)
}

func compare(ctx context.Context, agents []*process, joined time.Duration, rounds int) error {
	mesh, bare := fmt.Sprintf("http://%s:%d/", meshClient, entryPort), fmt.Sprintf("http://%s:%d/", bareClient, entryPort)
	if err := eventually(ctx, "bare Envoys", func() error { return get(bare) }); err != nil {
		return err
	}
	var ratios [3][]float64
	for round := range rounds {
		a, b := load(mesh), load(bare)
		if round == 0 {
			continue // warms both
		}
		ratios[0] = append(ratios[0], a.p50/b.p50)
		ratios[1] = append(ratios[1], a.p99/b.p99)
		ratios[2] = append(ratios[2], b.rate/a.rate)
		progress("round %d: agents p50 %.2f p99 %.2f ms %.0f/s, bare p50 %.2f p99 %.2f ms %.0f/s", round, a.p50, a.p99, a.rate, b.p50, b.p99, b.rate)
	}
	fmt.Printf("\n| through two agents' Envoys ÷ through two bare Envoys | median of %d rounds |\n|---|---|\n", rounds-1)
	for i, what := range []string{"p50", "p99", "time per request (bare requests/s ÷ ours)"} {
		fmt.Printf("| %s | %.2f |\n", what, percentile(ratios[i], 50))
	}
	fmt.Printf("\nFrom `isthmus-agent join` to the first answered request over mutual TLS: %.1f s. An agent's own RSS: %.0f MB.\n",
		joined.Seconds(), agents[0].residentMB())
	return nil
}

// startPair joins a server and a client; joined is how long the client took from its start to its first answer.
func (w *world) startPair(ctx context.Context, program string, port int) (agents []*process, joined time.Duration, err error) {
	server, err := w.agent(ctx, program, "echo", meshServer, "--port", fmt.Sprintf("%d=http:%d", servicePort, port))
	if err != nil {
		return nil, 0, err
	}
	agents = append(agents, server)
	began := time.Now()
	client, err := w.agent(ctx, program, "caller", meshClient, "--check", "none", "--port", fmt.Sprintf("%d=http", servicePort+2),
		"--upstream", fmt.Sprintf("echo:%d=%s:%d", servicePort, meshClient, entryPort))
	if err != nil {
		return agents, 0, err
	}
	agents = append(agents, client)
	err = eventually(ctx, "agents", func() error { return get(fmt.Sprintf("http://%s:%d/", meshClient, entryPort)) })
	return agents, time.Since(began), err
}

func (w *world) agent(ctx context.Context, program, service, address string, flags ...string) (*process, error) {
	var token string
	err := eventually(ctx, "token", func() (err error) {
		token, err = w.token(ctx, "overhead-"+service, v1alpha1.JoinWorkload, service, []string{w.edgeAddress})
		return err
	})
	if err != nil {
		return nil, err
	}
	argv := append([]string{filepath.Join(w.bin, "isthmus-agent"), "join", token, "--data", filepath.Join(w.dir, service), "--envoy", program,
		"--capture", "explicit", "--address", address, "--leave-on-stop"}, flags...)
	return start(w.dir, service, argv...)
}

func serveApp() (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }))
	}()
	return l, nil
}

func appPort(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

func get(url string) error {
	answer, err := (&http.Client{Timeout: 2 * time.Second}).Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, answer.Status)
	}
	return nil
}

// result is one round of load: latencies in milliseconds, requests a second.
type result struct{ p50, p99, rate float64 }

// load sends requests over eight connections for three seconds.
func load(url string) result {
	const connections, duration = 8, 3 * time.Second
	var mu sync.Mutex
	var took []float64
	var group sync.WaitGroup
	end := time.Now().Add(duration)
	for range connections {
		group.Go(func() {
			own := loadOne(url, end)
			mu.Lock()
			defer mu.Unlock()
			took = append(took, own...)
		})
	}
	group.Wait()
	slices.Sort(took)
	return result{percentile(took, 50), percentile(took, 99), float64(len(took)) / duration.Seconds()}
}

func loadOne(url string, end time.Time) (took []float64) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}, Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	for {
		began := time.Now()
		if began.After(end) {
			return took
		}
		answer, err := client.Get(url)
		if err != nil {
			continue
		}
		buffer := make([]byte, 16)
		for err == nil {
			_, err = answer.Body.Read(buffer)
		}
		_ = answer.Body.Close()
		took = append(took, float64(time.Since(began).Microseconds())/1000)
	}
}

func stopAll(processes []*process) {
	for _, p := range processes {
		p.stop(syscall.SIGTERM)
	}
}

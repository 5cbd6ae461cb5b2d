package envoy

import (
	"context"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	pinned "github.com/isthmus-mesh/isthmus/tools/envoy"
)

var update = flag.Bool("update", false, "rewrite the golden bootstrap")

func TestBootstrap(t *testing.T) {
	b := Bootstrap{NodeID: "sidecar~10.0.0.1~reviews-1.shop~shop.mesh", Socket: "/data/proxy/agent.sock", Admin: "/data/proxy/own/admin.sock", MaxConnections: 100}
	got := b.Render()
	const golden = "testdata/bootstrap.json"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(golden); err != nil || string(got) != string(want) {
		t.Errorf("%v\ngot:\n%s\nwant:\n%s", err, got, want)
	}
	program, err := pinned.Path(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program, "--mode", "validate", "-c", golden).CombinedOutput(); err != nil {
		t.Errorf("Envoy refuses it: %v\n%s", err, out)
	}
}

func TestDecodeStats(t *testing.T) {
	s, err := decodeStats([]byte(`{"stats": [{"name": "server.memory_allocated", "value": 7}, {"name": "other", "value": 1},
		{"histograms": {}}, {"name": "cluster_manager.active_clusters", "value": "x"}, {"name": "server.total_connections", "value": 3}]}`))
	if err != nil || s != (Stats{Connections: 3, Memory: 7}) {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := decodeStats([]byte("nonsense")); err == nil {
		t.Error("nonsense is taken for statistics")
	}
}

func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "100")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

// A process is recognised by more than its number.
func TestProcessIsWhoItWas(t *testing.T) {
	cmd := sleeper(t)
	p, err := identify(cmd.Process.Pid, "node")
	if err != nil || !p.lives() {
		t.Fatal(p, err)
	}
	file := filepath.Join(t.TempDir(), "process.json")
	if err := p.write(file); err != nil {
		t.Fatal(err)
	}
	if back, ok := readProcess(file); !ok || back != p {
		t.Errorf("%+v, %v", back, ok)
	}
	for _, other := range []process{{PID: p.PID, Started: p.Started + 1, Boot: p.Boot}, {PID: p.PID, Started: p.Started, Boot: "other boot"}, {PID: 1 << 22, Started: p.Started, Boot: p.Boot}} {
		if other.lives() {
			t.Errorf("%+v is taken for a process", other)
		}
		if err := other.signal(syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	}
	if !p.lives() {
		t.Fatal("another process was killed")
	}
	waited := make(chan error)
	go func() { waited <- p.wait(t.Context()) }()
	if err := p.signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil {
		t.Error(err)
	}
	if _, ok := readProcess(file); ok {
		t.Error("a zombie is taken for a process")
	}
	if err := os.WriteFile(file, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := readProcess(file); ok {
		t.Error("nonsense is taken for a process")
	}
}

func TestStartedWithoutNewPrivileges(t *testing.T) {
	out := filepath.Join(t.TempDir(), "status")
	cmd := exec.Command("sh", "-c", "cat /proc/self/status > "+out)
	if err := startUnprivileged(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil || !strings.Contains(string(text), "NoNewPrivs:\t1") {
		t.Errorf("%v\n%s", err, text)
	}
	own, err := os.ReadFile("/proc/self/status")
	if err != nil || strings.Contains(string(own), "NoNewPrivs:\t1") {
		t.Error("the agent gave up its own privileges")
	}
	if err := startUnprivileged(exec.Command("/nowhere/envoy")); err == nil {
		t.Error("started what is not there")
	}
}

func TestPrepareRefuses(t *testing.T) {
	long := Spec{Dir: filepath.Join(t.TempDir(), strings.Repeat("long", 30))}
	if err := long.Prepare(); err == nil || !strings.Contains(err.Error(), "shorter") {
		t.Error(err)
	}
	if os.Getuid() != 0 {
		return
	}
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	hidden := Spec{Dir: filepath.Join(closed, "proxy"), User: 1337}
	if err := hidden.Prepare(); err == nil || !strings.Contains(err.Error(), "chmod o+x") {
		t.Error(err)
	}
}

// Root's Envoy may lie in a home that Envoy's user cannot enter.
func TestProgramIsMadeReachable(t *testing.T) {
	if os.Getuid() != 0 {
		return // other users run Envoy as themselves
	}
	dir := t.TempDir() // closed to others
	program := filepath.Join(dir, "home", "envoy")
	if err := os.MkdirAll(filepath.Dir(program), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o755, 0o700} {
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(program, mode); err != nil {
			t.Fatal(err)
		}
		s := Spec{Path: program, Dir: dir}
		for range 2 {
			path, err := s.program()
			if err != nil || path != filepath.Join(dir, "envoy") {
				t.Fatal(path, err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
		}
	}
	s := Spec{Path: filepath.Join(dir, "missing"), Dir: dir}
	if _, err := s.program(); err == nil {
		t.Error("found what is not there")
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	cmd := sleeper(t)
	p, err := identify(cmd.Process.Pid, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := contextFor(t, 50*time.Millisecond)
	defer cancel()
	if err := p.wait(ctx); err == nil {
		t.Error("the process has not ended")
	}
}

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

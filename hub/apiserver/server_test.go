package apiserver

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// world is the one server that tests share, and an administrator's clients.
var world struct {
	*Server
	admin   *rest.Config
	core    kubernetes.Interface
	objects dynamic.Interface
}

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		os.Exit(runUntilKilled(dir))
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hub")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	stop, err := startWorld(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping the hub:", err)
		return 1
	}
	return code
}

func startWorld(dir string) (stop func() error, err error) {
	began := time.Now()
	s, stop, err := start(Config{DataDir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(os.Stderr, "hub ready after", time.Since(began).Round(time.Millisecond))
	world.Server = s
	world.admin, err = clientcmd.BuildConfigFromFlags("", s.Kubeconfig())
	if err != nil {
		return stop, err
	}
	world.admin.QPS = -1
	world.core = kubernetes.NewForConfigOrDie(world.admin)
	world.objects = dynamic.NewForConfigOrDie(world.admin)
	return stop, nil
}

// start opens and runs a server and waits until it is ready.
func start(c Config) (*Server, func() error, error) {
	c.Log = testLog()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := Open(ctx, c)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop := func() error { cancel(); return <-ended }
	select {
	case <-s.Ready():
		return s, stop, nil
	case err := <-ended:
		cancel()
		return nil, nil, fmt.Errorf("ended before it was ready: %w", err)
	case <-time.After(time.Minute):
		return nil, nil, fmt.Errorf("not ready: %v; %w", s.bootstrap.Check(nil), stop())
	}
}

// testLog shows what the server says if HUB_LOG is set.
func testLog() *slog.Logger {
	var out io.Writer = io.Discard
	if os.Getenv("HUB_LOG") != "" {
		out = os.Stderr
	}
	return slog.New(slog.NewTextHandler(out, nil))
}

func TestReady(t *testing.T) {
	body, err := world.core.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(t.Context())
	if err != nil || string(body) != "ok" {
		t.Fatalf("readyz: %q %v", body, err)
	}
}

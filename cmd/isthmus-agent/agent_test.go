package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/agent/edgetest"
	"github.com/isthmus-mesh/isthmus/agent/status"
	"github.com/isthmus-mesh/isthmus/tools/envoy"
)

// asAgent makes the test binary be isthmus-agent.
const asAgent = "ISTHMUS_TEST_AS_AGENT"

func TestMain(m *testing.M) {
	if os.Getenv(asAgent) != "" {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// machine is a data directory, an agent as a process, and an application.
type machine struct {
	testing.TB
	zone  *edgetest.Zone
	data  string
	envoy string
	app   *application
	agent *exec.Cmd
	log   *bytes.Buffer
	// on runs commands, elsewhere than here perhaps.
	on func(ctx context.Context, name string, args ...string) *exec.Cmd
}

func newMachine(t testing.TB, zone *edgetest.Zone) *machine {
	t.Helper()
	path, err := envoy.Path(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	// Short, because sockets have short names, and open to Envoy's user.
	data, err := os.MkdirTemp("", "agent-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(data, 0o755); err != nil {
		t.Fatal(err)
	}
	m := &machine{TB: t, zone: zone, data: data, envoy: path, app: newApplication(t), on: exec.CommandContext}
	t.Cleanup(m.destroy)
	return m
}

// destroy ends everything, by pid.
func (m *machine) destroy() {
	m.killAgent()
	m.killEnvoy()
	if m.Failed() {
		m.Logf("agent:\n%s", m.log)
		if log, err := os.ReadFile(filepath.Join(m.data, "proxy", "own", "envoy.log")); err == nil {
			m.Logf("envoy:\n%s", tail(log, 4000))
		}
	}
	if err := os.RemoveAll(m.data); err != nil {
		m.Error(err)
	}
}

func tail(text []byte, n int) []byte { return text[max(0, len(text)-n):] }

func (m *machine) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := m.on(ctx, os.Args[0], append(args, "--data="+m.data)...)
	cmd.Env = append(os.Environ(), asAgent+"=1", "ISTHMUS_ENVOY="+m.envoy)
	return cmd
}

// start starts the agent in the background.
func (m *machine) start(args ...string) {
	m.Helper()
	m.agent = m.command(context.Background(), args...)
	m.log = &bytes.Buffer{}
	m.agent.Stdout, m.agent.Stderr = m.log, m.log
	if err := m.agent.Start(); err != nil {
		m.Fatal(err)
	}
}

// join joins with a token of the zone and waits until the machine is ready.
func (m *machine) join(flags ...string) {
	m.Helper()
	args := []string{"join", m.zone.Token("t1", "workload"), "--capture=explicit", "--address=127.0.0.1",
		fmt.Sprintf("--port=9080=http:%d", m.app.port)}
	m.start(append(args, flags...)...)
	m.awaitReady()
}

func (m *machine) killAgent() {
	if m.agent != nil {
		_ = m.agent.Process.Kill()
		_ = m.agent.Wait()
		m.agent = nil
	}
}

// stopAgent is SIGTERM, as systemd sends it.
func (m *machine) stopAgent() {
	m.Helper()
	_ = m.agent.Process.Signal(syscall.SIGTERM)
	if err := m.agent.Wait(); err != nil {
		m.Fatalf("agent: %v\n%s", err, m.log)
	}
	m.agent = nil
}

// envoyPID is the process written down; 0 if none lives.
func (m *machine) envoyPID() int {
	var p struct{ PID int }
	text, err := os.ReadFile(filepath.Join(m.data, "proxy", "process.json"))
	if err != nil || json.Unmarshal(text, &p) != nil || syscall.Kill(p.PID, 0) != nil {
		return 0
	}
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID)); err != nil || strings.Contains(string(stat), ") Z ") {
		return 0
	}
	return p.PID
}

func (m *machine) killEnvoy() {
	if pid := m.envoyPID(); pid != 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		m.eventually("Envoy is gone", func() error {
			if m.envoyPID() != 0 {
				return errors.New("it lives")
			}
			return nil
		})
	}
}

func (m *machine) status() (*status.Report, error) {
	out, err := m.command(m.Context(), "status", "-o", "json").Output()
	var report status.Report
	if decoded := json.Unmarshal(out, &report); decoded != nil {
		return nil, errors.Join(decoded, err)
	}
	if err != nil {
		err = fmt.Errorf("not ready: %+v", report)
	}
	return &report, err
}

func (m *machine) awaitReady() {
	m.Helper()
	m.eventually("the machine is ready", func() error { _, err := m.status(); return err })
}

func (m *machine) eventually(what string, try func() error) {
	m.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			m.Fatalf("waited in vain for: %s: %v", what, err)
		}
		<-tick.C
	}
}

// application is an HTTP server that can fall ill.
type application struct {
	port   int
	server *http.Server
}

func newApplication(t testing.TB) *application {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	app := &application{port: l.Addr().(*net.TCPAddr).Port}
	app.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "application")
	})}
	go app.server.Serve(l)
	t.Cleanup(func() { app.server.Close() })
	return app
}

package edge_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/isthmus-mesh/isthmus/edge"
	. "github.com/isthmus-mesh/isthmus/edge/internal/zonetest"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// The test program becomes an edge when these are set, so that it can be killed.
const (
	dirVariable    = "ISTHMUS_TEST_EDGE_DIR"
	tokenVariable  = "ISTHMUS_TEST_EDGE_TOKEN"
	listenVariable = "ISTHMUS_TEST_EDGE_LISTEN"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(dirVariable); dir != "" {
		err := edge.Run(context.Background(), edge.Config{
			DataDir: dir, JoinToken: os.Getenv(tokenVariable), Listen: os.Getenv(listenVariable), Name: "e1", Lease: time.Minute,
			Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Ready: func(address string) { fmt.Println(address) },
		})
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// process is an edge in a process of its own.
type process struct {
	addr string
	kill func()
}

func (h *hub) process(dir, token, listen string) *process {
	h.t.Helper()
	c := exec.CommandContext(h.t.Context(), os.Args[0])
	c.Env = append(os.Environ(), dirVariable+"="+dir, tokenVariable+"="+token, listenVariable+"="+listen)
	c.Stderr = h.t.Output()
	out, err := c.StdoutPipe()
	Check(h.t, err)
	Check(h.t, c.Start())
	p := &process{kill: func() { _ = c.Process.Kill(); _ = c.Wait() }} // SIGKILL
	h.t.Cleanup(p.kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		h.t.Fatalf("the edge never served: %v", err)
	}
	p.addr = strings.TrimSpace(line)
	return p
}

func TestKilled(t *testing.T) {
	h, dir := newHub(t), t.TempDir()
	webToken, webResource := h.workloadToken("web")
	revToken, revResource := h.workloadToken("reviews")
	h.publish(zoneInfo(t), webResource, revResource)
	p := h.process(dir, h.token.String(), "127.0.0.1:0")
	web, rev := h.join(p.addr, webToken), h.join(p.addr, revToken)
	h.attend(p.addr, web, "10.0.0.9")
	h.attend(p.addr, rev, "10.0.0.1")
	proxy := h.discover(p.addr, web.peer, web.node)
	Eventually(t, "web calls reviews", proxy.calls(reviews, "10.0.0.1"))
	Eventually(t, "both on disk", func() bool {
		raw, err := os.ReadFile(filepath.Join(dir, "workloads"))
		return err == nil && bytes.Contains(raw, []byte("10.0.0.1")) && bytes.Contains(raw, []byte("10.0.0.9"))
	})
	p.kill()
	h.stop()

	again := h.process(dir, "", p.addr)
	proxy = h.discover(again.addr, web.peer, web.node)
	Eventually(t, "the same endpoints, without hub and agents", proxy.calls(reviews, "10.0.0.1"))
	_, err := machinepb.NewMachineClient(h.Dial(again.addr, h.Nobody())).Join(t.Context(), &machinepb.JoinRequest{Token: webToken.String(), Csr: Request(t, Key(t))})
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("a used token after the kill: %v, want PermissionDenied", err)
	}
}

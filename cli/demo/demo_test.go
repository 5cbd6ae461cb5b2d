package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// folder is a data folder with everything in it that prepare makes.
func folder(t *testing.T) string {
	dir := t.TempDir()
	for _, part := range []string{"logs", "run", "agents"} {
		if err := os.Mkdir(filepath.Join(dir, part), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func shell(name, script string) program {
	return program{name: name, path: "/bin/sh", args: []string{"-c", script}}
}

func mustStart(t *testing.T, dir string, p program) *process {
	started, err := start(dir, p, make(chan *process, 1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(started.stop)
	return started
}

func TestStopEndsTheWholeGroup(t *testing.T) {
	dir := folder(t)
	p := mustStart(t, dir, shell("parent", `trap "" TERM; sleep 1000 & echo $!; trap exit TERM; wait`))
	var child string
	err := until(t.Context(), patience, nil, func(context.Context) error {
		text, err := os.ReadFile(p.log)
		child = strings.TrimSpace(string(text))
		if err == nil && child == "" {
			err = errors.New("nothing written yet")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p.stop()
	if err := until(t.Context(), patience, nil, func(context.Context) error { return gone(child) }); err != nil {
		t.Fatalf("child %s of a stopped process: %v", child, err)
	}
}

func gone(pid string) error {
	var number int
	if _, err := fmt.Sscan(pid, &number); err != nil {
		return err
	}
	if _, err := startTime(number); err == nil {
		return fmt.Errorf("process %s is there", pid)
	}
	return nil
}

func TestLeftoversAreEnded(t *testing.T) {
	dir := folder(t)
	p := mustStart(t, dir, shell("left", "sleep 1000"))
	if err := endLeftovers(dir); err != nil {
		t.Fatal(err)
	}
	<-p.done
	if entries, _ := filepath.Glob(entry(dir, "*")); len(entries) > 0 {
		t.Errorf("still written down: %v", entries)
	}
}

func TestAnotherProcessOfTheSameNumberIsLeftAlone(t *testing.T) {
	dir := folder(t)
	p := mustStart(t, dir, shell("innocent", "sleep 1000"))
	line := fmt.Sprintf("%d %s\n", p.command.Process.Pid, "1")
	if err := os.WriteFile(entry(dir, "innocent"), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := endLeftovers(dir); err != nil {
		t.Fatal(err)
	}
	if err := p.command.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the process was ended: %v", err)
	}
}

func TestEnvoysAreEnded(t *testing.T) {
	dir := folder(t)
	ours := filepath.Join(dir, "agents", "web-v1", "bootstrap.json")
	p := mustStart(t, dir, program{name: "envoy", path: "/bin/sh", args: []string{"-c", "sleep 1000; true", "-c", ours}})
	other := mustStart(t, dir, program{name: "other", path: "/bin/sh", args: []string{"-c", "sleep 1000; true", "-c", "/elsewhere" + ours}})
	if err := endEnvoys(dir); err != nil {
		t.Fatal(err)
	}
	<-p.done
	if err := other.command.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("another program was ended: %v", err)
	}
}

func TestDeathIsToldWithTheEndOfTheLog(t *testing.T) {
	dir := folder(t)
	p := mustStart(t, dir, shell("hub", "echo starting; echo the port is taken; exit 3"))
	never := func(context.Context) error { return errors.New("not yet") }
	err := until(t.Context(), patience, stage{p}, never)
	want := fmt.Sprintf("hub ended (exit status 3): see %s/logs/hub.log, which ends:\n  the port is taken", dir)
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestRefusals starts demos that cannot run: one sentence each, and nothing is started.
func TestRefusals(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	true_, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		change     func(*Config)
	}{
		{"MissingProgram", "/nowhere/isthmus-agent is missing: run make build first",
			func(c *Config) { c.Agent = "/nowhere/isthmus-agent" }},
		{"FolderNotWritable", "the demo cannot write to /dev/null/demo: choose another folder with --data",
			func(c *Config) { c.Data = "/dev/null/demo" }},
		{"PortTaken", fmt.Sprintf("0.0.0.0:%d, which the demo needs for the ingress gateway, is taken: "+
			"stop the program that uses it, or choose another with --ingress-port", port),
			func(c *Config) { c.IngressPort = port }},
		{"NoSuchAddress", "for the Envoy of web-v1: choose another with --network",
			func(c *Config) { c.Network = "192.0.2" }},
		{"FolderOfSomethingElse", "holds something else than a demo: choose another folder with --data",
			func(c *Config) { leave(t, c.Data, "hub") }},
		{"FolderInUse", "another demo runs in",
			func(c *Config) { holdFolder(t, c.Data) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := Config{Data: t.TempDir(), Isthmus: true_, Agent: true_, Shop: true_, Envoy: true_,
				PortBase: 28443, IngressPort: 28080, Network: "127.71.0", Out: io.Discard}
			c.change(&config)
			if err := Run(t.Context(), config); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func leave(t *testing.T, dir, file string) {
	if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestHalfMadeDemosAreThrownAway(t *testing.T) {
	d := &demo{Config: Config{Data: folder(t)}}
	half := filepath.Join(d.Data, "agents", "half")
	for _, again := range []bool{false, true} {
		leave(t, filepath.Dir(half), "half")
		if err := d.furnish(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(half); (err == nil) != again {
			t.Errorf("joined %v: %s there: %v", again, half, err == nil)
		}
		if err := d.noteJoined(); err != nil {
			t.Fatal(err)
		}
	}
}

func holdFolder(t *testing.T, dir string) {
	other := &demo{Config: Config{Data: dir}}
	if err := other.takeFolder(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.lock.Close() })
}

func TestWalkSaysHowFarItIs(t *testing.T) {
	var out bytes.Buffer
	failure := errors.New("no power")
	err := walk(t.Context(), &out, []step{
		{"looking", func(context.Context) error { return nil }},
		{"starting", func(context.Context) error { return failure }},
		{"never reached", func(context.Context) error { panic("reached") }},
	})
	if err != failure {
		t.Errorf("walk: %v, want %v", err, failure)
	}
	if d := cmp.Diff("[1/3] looking … 0.0s\n[2/3] starting … no\n", out.String()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestLoadCounts(t *testing.T) {
	answers := []string{
		`{"calls":{"reviews":{"version":"v1"}}}`,
		`{"calls":{"reviews":{"version":"v2"}}}`,
		`{"error":"reviews failed","calls":{"reviews":{"version":"v2"}}}`,
		`upstream connect error`,
	}
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, answers[asked])
		asked++
	}))
	defer server.Close()
	l := newLoad(server.URL)
	defer l.client.CloseIdleConnections()
	for range answers {
		l.count(l.ask(t.Context()))
	}
	want := "requests 4, failed 2; reviews of late: failed 50 %, v1 25 %, v2 25 %"
	if l.String() != want {
		t.Errorf("got  %s\nwant %s", l, want)
	}
}

func TestLoadForgetsOldAnswers(t *testing.T) {
	l := newLoad("")
	for range recentSize {
		l.count("v1", nil)
	}
	for range recentSize {
		l.count("v2", nil)
	}
	if want := fmt.Sprintf("requests %d, failed 0; reviews of late: v2 100 %%", 2*recentSize); l.String() != want {
		t.Errorf("got  %s\nwant %s", l, want)
	}
}

// TestAddressesAreDistinct guards the table of who listens where.
func TestAddressesAreDistinct(t *testing.T) {
	d := &demo{Config: Config{PortBase: 7443, IngressPort: 8080, Network: "127.1.0"}}
	seen := map[string]string{}
	for _, a := range d.addresses() {
		if other, twice := seen[a.address]; twice {
			t.Errorf("%s: %s and %s", a.address, other, a.purpose)
		}
		seen[a.address] = a.purpose
	}
}

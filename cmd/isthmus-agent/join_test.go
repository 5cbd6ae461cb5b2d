package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/agent/edgetest"
	"github.com/isthmus-mesh/isthmus/identity"
)

// try runs a command that ends by itself.
func try(args ...string) (code int, out string) {
	var buffer bytes.Buffer
	return run(args, &buffer, &buffer), buffer.String()
}

func enrol(data, verb, token string, more ...string) (int, string) {
	return try(append([]string{verb, token, "--enrol-only", "--data=" + data}, more...)...)
}

func TestRefusals(t *testing.T) {
	zone := edgetest.New(t)
	edge := zone.Start("e1")
	used := zone.Token("used", "workload")
	if code, out := enrol(t.TempDir(), "join", used); code != 0 {
		t.Fatal(out)
	}
	joined := t.TempDir()
	if code, out := enrol(joined, "join", zone.Token("mine", "workload")); code != 0 {
		t.Fatal(out)
	}
	foreign := edgetest.New(t).Token("t", "workload", edge.Address)
	guessed, err := identity.ParseToken(used)
	if err != nil {
		t.Fatal(err)
	}
	guessed.Name, guessed.Secret = "mine", "guess"
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"token used by another key":    {[]string{"join", used}, 1, "ISM2004"},
		"token of another mesh":        {[]string{"join", foreign}, 1, "ISM2007"},
		"wrong secret":                 {[]string{"join", guessed.String()}, 1, "ISM2002"},
		"token cut off":                {[]string{"join", used[:40]}, 1, "ISM2001"},
		"gateway's token":              {[]string{"join", zone.Token("g", "gateway")}, 1, "ISM2005"},
		"workload's token for gateway": {[]string{"gateway", zone.Token("w", "workload")}, 1, "ISM2005"},
		"second token":                 {[]string{"join", zone.Token("second", "workload"), "--data=" + joined}, 1, "ISM5012"},
		"bad port":                     {[]string{"join", used, "--port=http"}, 1, "ISM5014"},
		"bad upstream":                 {[]string{"join", used, "--upstream=a"}, 1, "ISM5014"},
		"bad label":                    {[]string{"join", used, "--label=a"}, 1, "KEY=VALUE"},
		"bad capture":                  {[]string{"join", used, "--capture=x"}, 1, "ISM5014"},
		"no token":                     {[]string{"join"}, 2, "accepts 1 arg"},
		"unknown flag":                 {[]string{"join", used, "--nope"}, 2, "unknown flag"},
		"unknown command":              {[]string{"jion"}, 2, "unknown command"},
		"run before joining":           {[]string{"run"}, 1, "ISM5011"},
		"leave before joining":         {[]string{"leave"}, 1, "ISM5011"},
		"status without an agent":      {[]string{"status"}, 1, "ISM5013"},
	} {
		args := append([]string{c.args[0], "--data=" + t.TempDir()}, c.args[1:]...)
		if c.args[0] == "join" || c.args[0] == "gateway" {
			args = append(args, "--enrol-only")
		}
		if code, out := try(args...); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s: exit %d, %q; want %d with %q", name, code, out, c.code, c.says)
		}
	}
}

// A join whose token was used by this very machine may be repeated: with the same key.
func TestJoinIsRepeatable(t *testing.T) {
	zone := edgetest.New(t)
	zone.Start("e1")
	token, data := zone.Token("t", "workload"), t.TempDir()
	if code, out := enrol(data, "gateway", token); code != 1 { // the role is wrong, the token is used
		t.Fatal(out)
	}
	for _, version := range []string{"v1", "v2"} {
		if code, out := enrol(data, "join", token, "--version="+version, "--port=9080=http"); code != 0 {
			t.Fatal(out)
		}
		text, err := os.ReadFile(filepath.Join(data, "agent.json"))
		if err != nil || !strings.Contains(string(text), fmt.Sprintf(`"workloadVersion": %q`, version)) {
			t.Errorf("%v\n%s", err, text)
		}
	}
	for _, file := range []string{"identity.json", "agent.json", "member.json"} {
		if info, err := os.Stat(filepath.Join(data, file)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	if _, err := os.Stat(filepath.Join(data, "pending-key.pem")); err == nil {
		t.Error("a copy of the key lies around")
	}
}

// The key is on disk before an edge hears of it: a join that is killed and repeated has the same key.
func TestJoinKilledAndRepeated(t *testing.T) {
	zone := edgetest.New(t)
	edge := zone.Start("e1")
	m := newMachine(t, zone)
	token := zone.Token("t", "workload")
	edge.Stop()
	m.start("join", token, "--enrol-only")
	m.eventually("a key", func() error { _, err := os.Stat(filepath.Join(m.data, "pending-key.pem")); return err })
	first, err := os.ReadFile(filepath.Join(m.data, "pending-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	m.killAgent()
	edge.Restart()
	if code, out := enrol(m.data, "join", token); code != 0 {
		t.Fatal(out)
	}
	text, err := os.ReadFile(filepath.Join(m.data, "identity.json"))
	if err != nil || !strings.Contains(string(text), strings.ReplaceAll(string(first), "\n", `\n`)) {
		t.Errorf("another key is used: %v", err)
	}
}

// An agent that starts before its edge waits for it.
func TestJoinWaitsForTheEdge(t *testing.T) {
	zone := edgetest.New(t)
	edge := zone.Start("e1")
	token, data := zone.Token("t", "workload"), t.TempDir()
	edge.Stop()
	type result struct {
		code int
		out  string
	}
	done := make(chan result)
	go func() {
		code, out := enrol(data, "join", token)
		done <- result{code, out}
	}()
	select {
	case r := <-done:
		t.Fatalf("it gave up: %+v", r)
	case <-time.After(300 * time.Millisecond): // it tries, and fails, meanwhile
	}
	edge.Restart()
	if r := <-done; r.code != 0 || !strings.Contains(r.out, "trying again") || !strings.Contains(r.out, "joined zone dc1") {
		t.Errorf("%+v", r)
	}
}

func TestHelpIsTheManual(t *testing.T) {
	for _, command := range []string{"", "join", "gateway", "run", "status", "leave", "install", "version"} {
		if code, out := try(strings.Fields(command + " --help")...); code != 0 || !strings.Contains(out, "Usage:") {
			t.Errorf("%s: %d, %s", command, code, out)
		}
	}
	if code, out := try("version"); code != 0 || !strings.HasPrefix(out, "isthmus-agent devel, for Envoy ") {
		t.Errorf("%d, %s", code, out)
	}
	folder := t.TempDir()
	if code, out := try("install", "--folder="+folder); code != 0 || strings.Count(out, "wrote ") != 2 {
		t.Errorf("%d, %s", code, out)
	}
}

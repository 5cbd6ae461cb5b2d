package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/isthmus-mesh/isthmus/cli"
	"github.com/isthmus-mesh/isthmus/edge"
	"github.com/isthmus-mesh/isthmus/hub"
	"github.com/isthmus-mesh/isthmus/identity"
)

// TestHub tells its stories to a real hub.
func TestHub(t *testing.T) {
	info := startHub(t)
	t.Run("Scripts", func(t *testing.T) { scripts(t, info, "testdata/hub") })
	t.Run("TokenHoldsWhatTheHubPublishes", func(t *testing.T) { tokenHolds(t, info) })
	t.Run("Examples", func(t *testing.T) { examplesApply(t, info) })
	t.Run("GitOps", func(t *testing.T) { gitOps(t, info) })
	t.Run("Edge", func(t *testing.T) { edgeConnects(t, info) })
}

// scripts runs those of a folder against the hub.
func scripts(t *testing.T, info hub.Info, dir string) {
	testscript.Run(t, testscript.Params{
		Dir: dir, UpdateScripts: *update, RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("KUBECONFIG", info.Kubeconfig)
			env.Setenv("SERVER", "https://"+info.API)
			return nil
		},
	})
}

// startHub runs a hub until the test ends, and returns when it is ready.
func startHub(t *testing.T) hub.Info {
	ctx, stop := context.WithCancel(context.Background())
	ended, ready := make(chan error, 1), make(chan hub.Info, 1)
	var log bytes.Buffer
	config := hub.Config{DataDir: t.TempDir(), Listen: "127.0.0.1:0", FeedListen: "127.0.0.1:0",
		Log: slog.New(slog.NewTextHandler(&log, nil))}
	go func() { ended <- hub.Run(ctx, config, func(info hub.Info) { ready <- info }) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("hub: %v", err)
		}
		if t.Failed() {
			t.Logf("log of the hub:\n%s", &log)
		}
	})
	select {
	case info := <-ready:
		return info
	case err := <-ended:
		ended <- nil
		t.Fatalf("hub: %v\n%s", err, &log)
		return hub.Info{}
	}
}

// tokenHolds makes a zone and compares its token with the hub: its addresses, the pin of its root, and
// the hash that is all the hub knows of the secret.
func tokenHolds(t *testing.T, info hub.Info) {
	made := runJSON[struct{ Name, Token, Command string }](t, info, "zone", "create", "pinned", "-o", "json")
	token, err := identity.ParseToken(made.Token)
	if err != nil {
		t.Fatal(err)
	}
	want := identity.Token{Name: made.Name, Secret: token.Secret, Addresses: info.FeedAddresses, Pin: identity.Pin(info.Root)}
	if d := cmp.Diff(want, token); d != "" {
		t.Errorf("token (-want +got):\n%s", d)
	}
	stored := runJSON[map[string]any](t, info, "get", "jointoken", made.Name, "-o", "json")
	spec := stored["spec"].(map[string]any)
	if !token.Proves(spec["secretSHA256"].(string)) {
		t.Errorf("the hub stored %v, which the secret does not prove", spec["secretSHA256"])
	}
	if text, _ := json.Marshal(stored); bytes.Contains(text, []byte(token.Secret)) {
		t.Errorf("the hub stored the secret itself: %s", text)
	}
}

// examplesApply applies every example. The shop comes first: the others are about it.
func examplesApply(t *testing.T, info hub.Info) {
	files, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	for _, file := range append([]string{"../examples/shop.yaml"}, files...) {
		runOK(t, info, "apply", "-f", file)
	}
}

// edgeConnects starts the edge of a new zone by its token, and makes a token for a workload: that one
// leads to the edge.
func edgeConnects(t *testing.T, info hub.Info) {
	made := runJSON[struct{ Token string }](t, info, "zone", "create", "inhabited", "-o", "json")
	ready := startEdge(t, made.Token)
	runOK(t, info, "wait", "--for=condition=Connected", "zone/inhabited", "--timeout=60s")
	address := <-ready
	line := runOK(t, info, "token", "create", "--zone", "inhabited", "--workspace", "shop", "--service", "reviews")
	text, ok := strings.CutPrefix(line, "isthmus-agent join ")
	if !ok || strings.Count(line, "\n") != 1 {
		t.Fatalf("token create printed %q, want one line that joins", line)
	}
	token, err := identity.ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	want := identity.Token{Name: token.Name, Secret: token.Secret, Addresses: []string{address}, Pin: identity.Pin(info.Root)}
	if d := cmp.Diff(want, token); d != "" {
		t.Errorf("token (-want +got):\n%s", d)
	}
	t.Run("Scripts", func(t *testing.T) { scripts(t, info, "testdata/inhabited") })
	code, _, said := runAgainst(t, info, "zone", "delete", "inhabited")
	if code != cli.ExitFailed || !strings.Contains(said, "zone inhabited is in use: 1 edge connected, 0 workloads. Stop them first, or pass --force") {
		t.Errorf("zone delete: exit code %d, %s", code, said)
	}
	runOK(t, info, "zone", "delete", "inhabited", "--force")
}

// startEdge runs an edge until the test ends; it tells where agents reach it.
func startEdge(t *testing.T, token string) <-chan string {
	ctx, stop := context.WithCancel(context.Background())
	ended, ready := make(chan error, 1), make(chan string, 1)
	config := edge.Config{DataDir: t.TempDir(), JoinToken: token, Listen: "127.0.0.1:0", Name: "edge-1",
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Ready: func(address string) { ready <- address }}
	go func() { ended <- edge.Run(ctx, config) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("edge: %v", err)
		}
	})
	return ready
}

// runJSON runs a command against the hub and decodes what it prints.
func runJSON[T any](t *testing.T, info hub.Info, args ...string) (data T) {
	out := runOK(t, info, args...)
	if err := json.Unmarshal([]byte(out), &data); err != nil {
		t.Fatalf("isthmus %v printed %s: %v", args, out, err)
	}
	return data
}

// runOK runs a command that must succeed, and returns what it prints.
func runOK(t *testing.T, info hub.Info, args ...string) string {
	code, out, errOut := runAgainst(t, info, args...)
	if code != cli.ExitOK {
		t.Fatalf("isthmus %v: exit code %d: %s", args, code, errOut)
	}
	return out
}

func runAgainst(t *testing.T, info hub.Info, args ...string) (code int, out, errOut string) {
	var stdout, stderr bytes.Buffer
	home := t.TempDir()
	environ := func(name string) string { return map[string]string{"KUBECONFIG": info.Kubeconfig, "HOME": home}[name] }
	command := cli.New(cli.Streams{In: &bytes.Buffer{}, Out: &stdout, ErrOut: &stderr}, cli.Build{Version: "test"}, environ)
	code = command.Run(t.Context(), append(args, "--kubeconfig", info.Kubeconfig))
	return code, stdout.String(), stderr.String()
}

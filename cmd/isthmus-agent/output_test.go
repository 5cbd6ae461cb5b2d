package main

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/agent/status"
	"github.com/isthmus-mesh/isthmus/api/problem"
)

var update = flag.Bool("update", false, "rewrite testdata instead of comparing it")

// What status prints for programs, in both forms.
func TestStatusForPrograms(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	board := status.NewBoard(func() time.Time { return noon })
	board.Set("edge", problem.EdgeAway, "10.0.0.1:15012: connection refused")
	report := &status.Report{
		Warnings: board.Warnings(), Workload: "reviews-1", Identity: "spiffe://isthmus.local/ns/shop/sa/reviews", Role: "workload",
		Zone: "dc1", Workspace: "shop", Service: "reviews", Edges: []string{"10.0.0.1:15012", "10.0.0.2:15012"},
		CertificateEnds: noon.Add(time.Hour), Capture: "redirected", Names: -1,
		Envoy: status.EnvoyReport{Ready: true, State: "LIVE", PID: 7, MemoryBytes: 60 << 20, Holds: map[string]int{"Listener": 2, "Cluster": 5}},
		Agent: status.AgentReport{Version: "1.10", PID: 6, Started: noon, MemoryBytes: 20 << 20},
	}
	for _, form := range []output{"json", "yaml"} {
		var got bytes.Buffer
		if err := (&program{out: &got}).print(report, form); !errors.Is(err, errSaid) {
			t.Errorf("%s: %v, want the exit code of something wrong", form, err)
		}
		asBefore(t, "status."+string(form), got.Bytes())
	}
}

// asBefore compares what was printed with a file.
func asBefore(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v; printed\n%s\nwant %s:\n%s", err, got, path, want)
	}
}

func TestOutputForms(t *testing.T) {
	for form, says := range map[string]string{"": "isthmus-agent devel, for Envoy ", "json": `"version": "devel"`, "yaml": "\nversion: devel\n"} {
		args := []string{"version"}
		if form != "" {
			args = append(args, "-o", form)
		}
		if code, out := try(args...); code != 0 || !strings.Contains(out, says) {
			t.Errorf("%v: exit %d, %q; want %q", args, code, out, says)
		}
	}
	if code, out := try("status", "-o", "xml"); code != exitUsage || !strings.Contains(out, "want json or yaml") {
		t.Errorf("xml: exit %d, %q", code, out)
	}
}

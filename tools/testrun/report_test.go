package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// report of the events, one JSON object a line.
func reportOf(t *testing.T, strict, failed bool, events string) (string, bool) {
	t.Helper()
	var out bytes.Buffer
	r := newReport(strict, &out)
	if err := r.read(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	ok := r.close(1500*time.Millisecond, failed)
	return out.String(), ok
}

const passing = `
{"Action":"output","Package":"p","Test":"TestA","Output":"noise\n"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":1}
{"Action":"pass","Package":"p","Elapsed":1.2}
{"Action":"skip","Package":"q"}`

const skipping = `
{"Action":"output","Package":"p","Test":"TestRoot","Output":"    needs root\n"}
{"Action":"skip","Package":"p","Test":"TestRoot"}
{"Action":"pass","Package":"p"}`

const failing = `
{"Action":"output","Package":"p","Test":"TestB","Output":"    got 1, want 2\n"}
{"Action":"fail","Package":"p","Test":"TestB"}
{"Action":"fail","Package":"p"}`

const unbuilt = `
{"Action":"build-output","ImportPath":"p [p.test]","Output":"p.go:1: syntax error\n"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`

func TestReport(t *testing.T) {
	for _, c := range []struct {
		name           string
		strict, failed bool
		events         string
		ok             bool
		last           string
		has            string
	}{
		{"all pass", true, false, passing, true, "PASS: 1 tests passed, 0 failed, 0 skipped in 1 packages, 1.5s", ""},
		{"skip is told", false, false, skipping, true, "PASS: 0 tests passed, 0 failed, 1 skipped in 1 packages, 1.5s", "SKIPPED p TestRoot\n    needs root\n"},
		{"skip fails in CI", true, false, skipping, false, "FAIL: 0 tests passed, 0 failed, 1 skipped in 1 packages, 1.5s", "CI=true"},
		{"failure is told", false, true, failing, false, "FAIL: 0 tests passed, 1 failed, 0 skipped in 1 packages, 1.5s", "FAILED p TestB\n    got 1, want 2\n"},
		{"build failure is told", false, true, unbuilt, false, "FAIL: 0 tests passed, 1 failed, 0 skipped in 1 packages, 1.5s", "p.go:1: syntax error"},
		{"go test itself failed", false, true, "", false, "FAIL: 0 tests passed, 0 failed, 0 skipped in 0 packages, 1.5s", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, ok := reportOf(t, c.strict, c.failed, c.events)
			lines := strings.Split(strings.TrimSpace(out), "\n")
			if ok != c.ok || lines[len(lines)-1] != c.last || !strings.Contains(out, c.has) {
				t.Errorf("ok = %v, want %v; last line wanted %q and somewhere %q\n%s", ok, c.ok, c.last, c.has, out)
			}
			if strings.Contains(out, "noise") {
				t.Errorf("output of a test that passed is shown\n%s", out)
			}
		})
	}
}

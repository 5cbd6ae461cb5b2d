package main_test

import (
	"os/exec"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// versionWithin is the promise to scripts that ask for the version: what the program holds besides does not count.
const versionWithin = 150 * time.Millisecond

// TestVersionIsQuick takes the best of a few runs, because a machine has other things to do too.
func TestVersionIsQuick(t *testing.T) {
	isthmus, best := meshtest.Build(t).Isthmus, time.Hour
	for range 10 {
		began := time.Now()
		if out, err := exec.CommandContext(t.Context(), isthmus, "version").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		best = min(best, time.Since(began))
	}
	t.Logf("isthmus version: %v", best)
	if best > versionWithin {
		t.Errorf("isthmus version takes %v, want %v at most", best, versionWithin)
	}
}

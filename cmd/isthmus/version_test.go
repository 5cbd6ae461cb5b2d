package main_test

import (
	"os/exec"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// promptly is how soon the version is said, whatever the program holds besides.
const promptly = 150 * time.Millisecond

// TestVersionIsPrompt wants one run of many to be prompt: on a busy machine the others wait for their turn.
func TestVersionIsPrompt(t *testing.T) {
	program, fastest := meshtest.Build(t).Isthmus, time.Hour
	for range 50 {
		began := time.Now()
		if out, err := exec.CommandContext(t.Context(), program, "version").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if fastest = min(fastest, time.Since(began)); fastest <= promptly {
			t.Logf("the version is said after %v", fastest)
			return
		}
	}
	t.Errorf("the version is said after %v, want %v at most", fastest, promptly)
}

// BenchmarkVersion is what a script waits for that asks for the version, whatever the program holds besides; it should
// be prompt. Beside it stands kubectl, which answers the same question.
func BenchmarkVersion(b *testing.B) {
	binaries := meshtest.Build(b)
	for name, line := range map[string][]string{
		"isthmus": {binaries.Isthmus, "version"}, "kubectl": {binaries.Kubectl, "version", "--client"},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if out, err := exec.CommandContext(b.Context(), line[0], line[1:]...).CombinedOutput(); err != nil {
					b.Fatalf("%v: %s", err, out)
				}
			}
		})
	}
}

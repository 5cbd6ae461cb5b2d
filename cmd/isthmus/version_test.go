package main_test

import (
	"os/exec"
	"testing"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// BenchmarkVersion is what a script waits for that asks for the version, whatever the program holds besides; it should
// be less than 150 ms. Beside it stands kubectl, which answers the same question.
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

package kubernetes

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestProgramsAreThere(t *testing.T) {
	programs, err := Build(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	for program, want := range map[string]string{programs.Kube: "v1.36.1", programs.Etcd: "3.6."} {
		out, err := exec.Command(program, "--version").CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s --version: %v: %s", program, err, out)
		}
	}
	for _, program := range []string{programs.Istiod, programs.Agent} {
		out, err := exec.Command(program, "version").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "1.31.0") {
			t.Errorf("%s version: %v: %s", program, err, out)
		}
	}
	if _, err := os.Stat(programs.EnvoyBootstrap); err != nil {
		t.Error(err)
	}
}

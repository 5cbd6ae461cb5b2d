package hub_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/isthmus-mesh/isthmus/tools/kubectl"
)

func TestKubectlWaitsUntilAChangeIsProgrammed(t *testing.T) {
	path, err := kubectl.Path(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.apply(mesh)
	e := w.join("edge-1", workload("reviews-1", "v1"))
	wait := func(timeout string) (string, error) {
		out, err := exec.CommandContext(t.Context(), path, "--kubeconfig", w.info.Kubeconfig,
			"wait", "--for=condition=Programmed", "httproute/reviews", "-n", "shop", "--timeout", timeout).CombinedOutput()
		return string(out), err
	}
	w.apply(route("reviews", "one"))
	if out, err := wait("60s"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}

	// The condition of the generation before does not satisfy it.
	e.hold("reviews-1")
	w.apply(route("reviews", "two"))
	if out, err := wait("1s"); err == nil || !strings.Contains(out, "timed out") {
		t.Fatalf("kubectl wait returned before the proxy ran the change: %v: %s", err, out)
	}
	e.release()
	if out, err := wait("60s"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

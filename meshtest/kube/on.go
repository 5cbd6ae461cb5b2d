package kube

import (
	"context"
	"os/exec"
	"testing"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// On runs a cluster on a machine of a world, with the namespace istio-system and Istio's kinds in it. Its pods
// are machines of the same world.
func On(t testing.TB, world *meshtest.World, m *meshtest.Machine) *Cluster {
	t.Helper()
	c := &Cluster{t: t, dir: t.TempDir(), ip: m.IPv4.String(), world: world, machine: m}
	c.command = func(argv []string) *exec.Cmd { return m.Command(context.Background(), argv[0], argv[1:]...) }
	c.start(m.DialContext)
	c.InstallIstioCRDs()
	c.Apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system}\n---\napiVersion: v1\nkind: Node\nmetadata: {name: " + node + "}")
	return c
}

// node is where all pods are.
const node = "node-1"

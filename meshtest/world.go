package meshtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/isthmus-mesh/isthmus/meshtest/netns"
)

// World is everything a test needs, from the network up.
type World struct {
	// LAN connects the machines.
	LAN *netns.LAN
	// Binaries are the programs under test.
	Binaries Binaries
	// EdgeFlags are further flags of every "isthmus edge" that zones of machines start.
	EdgeFlags []string

	t    *stage
	dir  string
	desk *Machine
	hub  *Hub
}

// New makes a world with a network and nothing on it. It lasts until the test ends.
func New(t testing.TB) *World {
	t.Helper()
	netns.Require(t)
	w := &World{Binaries: Build(t), t: &stage{t}, dir: t.TempDir()}
	for _, dir := range []string{w.dir, filepath.Dir(w.dir)} { // applications run as other users
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w.LAN = netns.New(t)
	return w
}

// stage is the test that goes on now, which is told of failures: the world's own, or a part of it.
type stage struct{ testing.TB }

// T is the test that goes on now, for packages that put more into the world.
func (w *World) T() testing.TB { return w.t }

// Run runs a part of the test, as testing.T.Run does: while it goes on, what fails in the world is its
// failure. Parts do not run in parallel.
func (w *World) Run(t *testing.T, name string, part func(*testing.T)) bool {
	return t.Run(name, func(t *testing.T) {
		whole := w.t.TB
		t.Cleanup(func() { w.t.TB = whole }) // after the part's own
		w.t.TB = t
		part(t)
	})
}

// Machine connects a new machine with nothing on it. Its name is in the network's DNS.
func (w *World) Machine(name string) *Machine {
	w.t.Helper()
	m := &Machine{Host: w.LAN.Host(name), w: w, dir: filepath.Join(w.dir, name)}
	if err := os.Mkdir(m.dir, 0o755); err != nil {
		w.t.Fatal(err)
	}
	w.LAN.Name(name, m.IPv4, m.IPv6)
	return m
}

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

	t    testing.TB
	dir  string
	desk *Machine
	hub  *Hub
}

// New makes a world with a network and nothing on it. It lasts until the test ends.
func New(t testing.TB) *World {
	t.Helper()
	netns.Require(t)
	w := &World{Binaries: Build(t), t: t, dir: t.TempDir()}
	if err := os.Chmod(w.dir, 0o755); err != nil { // applications run as other users
		t.Fatal(err)
	}
	w.LAN = netns.New(t)
	return w
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

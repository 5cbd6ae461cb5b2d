package meshtest

import (
	"encoding/json"
	"fmt"
)

// Zone is a zone of machines.
type Zone struct {
	Name string
	// Edges in the order they were started; the zone has one from the start.
	Edges []*Edge

	w *World
}

// Edge is an edge of a zone, on a machine of its own.
type Edge struct {
	*Process
	Machine *Machine
	// Disk holds the edge's data and nothing else.
	Disk *Disk
}

const (
	edgePort   = 15012
	edgeStatus = "127.0.0.1:15014"
	edgeDisk   = 32 << 20 // bytes
)

// Zone makes a zone with one edge, and waits until workloads can join. The first call starts the hub. Flags are
// those of "isthmus zone create".
func (w *World) Zone(name string, flags ...string) *Zone {
	w.t.Helper()
	w.Hub()
	z := &Zone{Name: name, w: w}
	z.start(w.token(append([]string{"zone", "create", name, "--type=machines"}, flags...)...))
	return z
}

// AddEdge starts another edge.
func (z *Zone) AddEdge() *Edge {
	z.w.t.Helper()
	return z.start(z.edgeToken())
}

// edgeToken makes a join token for an edge.
func (z *Zone) edgeToken(flags ...string) string {
	z.w.t.Helper()
	return z.w.token(append([]string{"token", "create", "--role=edge", "--zone=" + z.Name}, flags...)...)
}

func (z *Zone) start(token string) *Edge {
	z.w.t.Helper()
	name := fmt.Sprintf("%s-edge%d", z.Name, len(z.Edges)+1)
	m := z.w.Machine(name)
	e := &Edge{Machine: m, Disk: m.SmallDisk("edge", edgeDisk)}
	e.Process = m.startEdge(name, "edge", token)
	z.Edges = append(z.Edges, e)
	z.WaitConnected(len(z.Edges))
	return e
}

// startEdge starts an edge of a name, whose data are in a folder of the machine.
func (m *Machine) startEdge(name, folder, token string) *Process {
	m.w.t.Helper()
	joined := false
	return m.Start(name, func() []string {
		args := []string{m.w.Binaries.Isthmus, "edge", "--data=" + m.Dir(folder), "--name=" + name,
			"--listen=" + m.at(edgePort), "--advertise=" + m.at(edgePort), "--status-listen=" + edgeStatus}
		if !joined { // afterwards its data say who it is
			joined, args = true, append(args, "--join="+token)
		}
		return args
	})
}

// WaitConnected waits until the hub sees a number of edges.
func (z *Zone) WaitConnected(edges int) {
	z.w.t.Helper()
	Eventually(z.w.t, "the edges of "+z.Name+" are connected", func() error {
		for _, e := range z.Edges {
			if !e.Running() && edges == len(z.Edges) {
				e.MustRun()
			}
		}
		return z.sees(edges)
	})
}

func (z *Zone) sees(edges int) error {
	out, err := z.w.TryIsthmus("zone", "list", "--output=json")
	if err != nil {
		return err
	}
	var zones []struct {
		Name      string
		Edges     int
		Connected bool
		Addresses []string
	}
	if err := json.Unmarshal([]byte(out), &zones); err != nil {
		return fmt.Errorf("%w in %s", err, out)
	}
	for _, seen := range zones {
		if seen.Name == z.Name && seen.Edges == edges && seen.Connected == (edges > 0) && (edges == 0 || len(seen.Addresses) > 0) {
			return nil
		}
	}
	return fmt.Errorf("the hub sees %s", out)
}

// Token makes a join token for a workload.
func (z *Zone) Token(workspace, service string, flags ...string) string {
	z.w.t.Helper()
	return z.w.token(append([]string{"token", "create", "--zone=" + z.Name, "--workspace=" + workspace, "--service=" + service}, flags...)...)
}

// GatewayToken makes a join token for an ingress gateway.
func (z *Zone) GatewayToken(workspace, gateway string) string {
	z.w.t.Helper()
	return z.Token(workspace, gateway, "--role=gateway")
}

// token runs a command that makes one.
func (w *World) token(args ...string) string {
	w.t.Helper()
	out := w.Isthmus(append(args, "--output=json")...)
	var made struct{ Token string }
	if err := json.Unmarshal([]byte(out), &made); err != nil || made.Token == "" {
		w.t.Fatalf("isthmus %v printed no token: %v: %s", args, err, out)
	}
	return made.Token
}

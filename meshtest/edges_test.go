package meshtest

import "testing"

// TestTwoEdges runs a zone with two edges, kills them in turn, and has machines at either. Both know all
// workloads, with the hub and without it, and no request is lost.
func TestTwoEdges(t *testing.T) {
	w := New(t)
	zone := w.Zone("dc1")
	f := fault{T: t, Shop: zone.Shop(), zone: zone, hub: w.Hub()}
	f.w.Apply(anyReviews)
	f.w.Programmed("shop", "httproute/reviews")
	two := twoEdges{f, zone.Edges[0], zone.AddEdge()}
	for _, s := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"agents hear of an edge that comes", two.heard},
		{"agents go to the other edge", two.goOver},
		{"a machine at one edge is called from the other", two.across},
	} {
		w.Run(t, s.name, s.run)
	}
}

// twoEdges is a zone of two edges; agents joined while there was only the first.
type twoEdges struct {
	fault
	first, second *Edge
}

func (s twoEdges) heard(t *testing.T) {
	s.T = t
	for name := range s.Agents {
		s.Agents[name].Says("Edge      "+s.first.Machine.at(edgePort)+"; known: ", s.second.Machine.at(edgePort))
	}
}

func (s twoEdges) goOver(t *testing.T) {
	s.T = t
	s.while(func() {
		s.first.Kill()
		for name := range s.Agents {
			s.Agents[name].Says("Edge      " + s.second.Machine.at(edgePort) + ";")
		}
		s.Turn("rv2", "health=bad")
		s.shuns("rv2")
		s.Turn("rv2", "")
		s.uses("rv2")
		s.first.Start()
		s.zone.WaitConnected(2)
	}).MustLoseNothing(s)
}

// across has a machine join at the first edge, because the second does not answer, while all others attend
// at the second. The hub is away while it comes to be called, falls ill and leaves.
func (s twoEdges) across(t *testing.T) {
	s.T = t
	m := s.w.Machine("rv4")
	m.Serve("reviews", "--version=v1")
	token := s.zone.Token("shop", "reviews")
	s.while(func() {
		s.second.Pause()
		agent := m.Join(token, "--port=9080=http", "--version=v1", "--check=http://127.0.0.1:9080/health")
		s.second.Resume()
		s.Machines["rv4"], s.Agents["rv4"] = m, agent
		s.Agents["rv4"].Says("Edge      " + s.first.Machine.at(edgePort) + ";")
		s.Agents["web1"].Says("Edge      " + s.second.Machine.at(edgePort) + ";")
		s.uses("rv4")
		s.hub.Kill()
		s.Turn("rv4", "health=bad")
		s.shuns("rv4")
		s.Turn("rv4", "")
		s.uses("rv4")
		if err := agent.Leave(); err != nil {
			t.Error(err)
		}
	}).MustLoseNothing(s)
	s.shuns("rv4")
	s.hub.Start()
	s.hub.WaitReady()
	s.zone.WaitConnected(2)
}

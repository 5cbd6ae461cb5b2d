package meshtest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/identity"
)

// Every token that must not admit, presented by real agents to real edges.
func TestTokensThatDoNotAdmit(t *testing.T) {
	w := New(t)
	here, there := w.Zone("dc1"), w.Zone("dc2")
	w.Workspace("shop")
	refused := func(name, machine, token string, by *Zone, p problem.Problem) {
		w.Run(t, name, func(t *testing.T) {
			refusedAtEdge(by.Edges[0], "Join", p).to(t, func() {
				ends(t, w.Machine(machine).TryJoin(token, "--port=9080=http", "--check=none").Process, p)
			})
		})
	}

	w.Run(t, "no token at all", func(t *testing.T) { // it reaches no edge
		ends(t, w.Machine("m1").TryJoin("isthmus1.hello", "--port=9080=http", "--check=none").Process, problem.TokenMalformed)
	})

	good := here.Token("shop", "reviews")
	refused("tampered with", "m2", change(t, good, spoil), here, problem.TokenUnknown)
	refused("for another zone", "m3", at(t, good, there.Edges[0]), there, problem.TokenUnknown)

	short := here.Token("shop", "reviews", "--ttl=1s")
	w.expires(t, short)
	refused("expired", "m4", short, here, problem.TokenExpired)

	w.Machine("m5").Join(good, "--port=9080=http", "--check=none")
	refused("used", "m6", good, here, problem.TokenUsed)
}

// Every token that must not admit an edge, presented by real edges to the hub.
func TestTokensThatAdmitNoEdge(t *testing.T) {
	w := New(t)
	zone := w.Zone("dc1")
	w.Workspace("shop")
	refused := func(name, machine, token string, p problem.Problem) {
		w.Run(t, name, func(t *testing.T) {
			refusedAtHub(w.Hub(), "Admit", p).to(t, func() { ends(t, w.Machine(machine).startEdge(machine, "edge", token), p) })
		})
	}
	used := zone.edgeToken()
	w.Run(t, "used by one", func(t *testing.T) {
		edge := w.Machine("e1").startEdge("e1", "edge", used)
		zone.WaitConnected(2)
		edge.Stop()
	})
	refused("used", "e2", used, problem.TokenUsed)
	refused("tampered with", "e3", change(t, zone.edgeToken(), spoil), problem.TokenUnknown)
	refused("for a workload", "e4", at(t, zone.Token("shop", "reviews"), w.Hub()), problem.TokenForeign)
	short := zone.edgeToken("--ttl=1s")
	w.expires(t, short)
	refused("expired", "e5", short, problem.TokenExpired)
}

// Two machines present one token at the same instant, to one edge and to two: one is admitted.
func TestTokenAdmitsOneOfTwo(t *testing.T) {
	w := New(t)
	zone := w.Zone("dc1")
	w.Workspace("shop")
	w.Run(t, "at one edge", func(t *testing.T) { admitsOne(t, zone, zone.Edges[0], zone.Edges[0]) })
	zone.AddEdge()
	w.Run(t, "at two edges", func(t *testing.T) { admitsOne(t, zone, zone.Edges[0], zone.Edges[1]) })
}

// admitsOne has a machine join at each of two edges with the same token.
func admitsOne(t *testing.T, zone *Zone, edges ...*Edge) {
	w, token := zone.w, zone.Token("shop", "reviews")
	before := usedTokens(t, zone)
	var agents []*Agent
	for i, edge := range edges {
		m := w.Machine(fmt.Sprintf("m%d%d", len(zone.Edges), i))
		agents = append(agents, m.TryJoin(at(t, token, edge), "--port=9080=http", "--check=none"))
	}
	Eventually(t, "one is refused and one is ready", func() error {
		ready, ended := 0, 0
		for _, agent := range agents {
			if _, err := agent.Status(); err == nil {
				ready++
			}
			if !agent.Running() && strings.Contains(agent.Log(), problem.TokenUsed.Code) {
				ended++
			}
		}
		if ready != 1 || ended != 1 {
			return errors.New(agents[0].Log() + agents[1].Log())
		}
		return nil
	})
	if n := usedTokens(t, zone) - before; n != 1 {
		t.Errorf("the edges count %d refusals, want 1", n)
	}
}

// usedTokens is how often the edges of a zone refused a token because another key used it.
func usedTokens(t *testing.T, zone *Zone) (n int) {
	for _, edge := range zone.Edges {
		n += refusedAtEdge(edge, "Join", problem.TokenUsed).count(t)
	}
	return n
}

// ends waits until a program has given up with a problem's code.
func ends(t *testing.T, p *Process, why problem.Problem) {
	t.Helper()
	Eventually(t, p.Name+" gives up", func() error {
		if p.Running() {
			return errors.New("it goes on")
		}
		return nil
	})
	if p.Wait() == nil || !strings.Contains(p.Log(), why.Code) {
		t.Errorf("%s ended with %v and without %s: %s", p.Name, p.Wait(), why.Code, p.Log())
	}
}

// expires waits until a token is past its time.
func (w *World) expires(t *testing.T, token string) {
	t.Helper()
	parsed, err := identity.ParseToken(token)
	if err != nil {
		t.Fatal(err)
	}
	Eventually(t, "the token expires", func() error {
		for line := range strings.Lines(w.Isthmus("token", "list")) {
			if strings.Contains(line, parsed.Name) && strings.Contains(line, "expired") {
				return nil
			}
		}
		return errors.New(w.Isthmus("token", "list"))
	})
}

// spoil makes a token's secret another one.
func spoil(token *identity.Token) { token.Secret = strings.Repeat("A", len(token.Secret)) }

// at leads a token to somebody.
func at(t *testing.T, token string, to interface{ address() string }) string {
	t.Helper()
	return change(t, token, func(token *identity.Token) { token.Addresses = []string{to.address()} })
}

func (e *Edge) address() string { return e.Machine.at(edgePort) }
func (h *Hub) address() string  { return h.Machine.at(feedPort) }

// change takes a token apart and puts it together again.
func change(t *testing.T, text string, edit func(*identity.Token)) string {
	t.Helper()
	token, err := identity.ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	edit(&token)
	return token.String()
}

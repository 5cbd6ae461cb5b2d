package meshtest

import (
	"errors"
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
	refused := func(name, machine, token, code string) {
		w.Run(t, name, func(t *testing.T) {
			agent := w.Machine(machine).TryJoin(token, "--port=9080=http", "--check=none")
			Eventually(t, "the refusal is told with its code", logContains(agent.Process, code))
			Eventually(t, "the edge logs the reason", edgeRefused(code, here, there))
			Eventually(t, "the agent gives up", func() error {
				if agent.Running() {
					return errors.New("it goes on")
				}
				return nil
			})
			if agent.Wait() == nil {
				t.Error("the agent ended with success")
			}
		})
	}

	refused("no token at all", "m1", "isthmus1.hello", "ISM2001")

	good := change(t, here.Token("shop", "reviews"), func(*identity.Token) {})
	wrong := change(t, good, func(token *identity.Token) { token.Secret = strings.Repeat("A", len(token.Secret)) })
	refused("tampered with", "m2", wrong, "ISM2002")

	foreign := change(t, good, func(token *identity.Token) { token.Addresses = []string{there.Edges[0].Machine.at(edgePort)} })
	refused("for another zone", "m3", foreign, "ISM200")

	short := here.Token("shop", "reviews", "--ttl=1s")
	Eventually(t, "the token expires", func() error {
		if out := w.Isthmus("token", "list"); !strings.Contains(out, "expired") {
			return errors.New(out)
		}
		return nil
	})
	refused("expired", "m4", short, "ISM2003")

	w.Machine("m5").Join(good, "--port=9080=http", "--check=none")
	refused("used", "m6", good, "ISM2004")
}

// edgeRefused asks whether an edge logged a refusal with its code; a token that cannot be read reaches none.
func edgeRefused(code string, zones ...*Zone) func() error {
	return func() error {
		for _, zone := range zones {
			log := zone.Edges[0].Log()
			if code == problem.TokenMalformed.Code || strings.Contains(log, "msg=refused") && strings.Contains(log, code) {
				return nil
			}
		}
		return errors.New("no edge logged it")
	}
}

// Two machines present one token at the same instant: one is admitted.
func TestTokenAdmitsOneOfTwo(t *testing.T) {
	w := New(t)
	zone := w.Zone("dc1")
	w.Workspace("shop")
	a, b := w.Machine("a"), w.Machine("b")
	token := zone.Token("shop", "reviews")
	agents := []*Agent{a.TryJoin(token, "--port=9080=http", "--check=none"), b.TryJoin(token, "--port=9080=http", "--check=none")}
	Eventually(t, "one is refused and one is ready", func() error {
		ready, ended := 0, 0
		for _, agent := range agents {
			if _, err := agent.Status(); err == nil {
				ready++
			}
			if !agent.Running() && strings.Contains(agent.Log(), "ISM2004") {
				ended++
			}
		}
		if ready != 1 || ended != 1 {
			return errors.New(agents[0].Log() + agents[1].Log())
		}
		return nil
	})
}

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

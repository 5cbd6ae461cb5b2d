package meshtest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/isthmus-mesh/isthmus/api/problem"
)

// doorkeeper is a program that refuses others: an edge or the hub.
type doorkeeper interface {
	Log() string
	metrics() (string, error)
}

func (e *Edge) metrics() (string, error) {
	return e.Machine.Run(e.t.Context(), "", "curl", "--silent", "--show-error", "--fail", "--max-time", "10", "http://"+edgeStatus+"/metrics")
}

func (h *Hub) metrics() (string, error) { return h.Machine.w.TryKubectl("get", "--raw=/metrics") }

// refusal is what a doorkeeper must do once: count one more in a series, and log a line with words and the code
// of the reason.
type refusal struct {
	by     doorkeeper
	reason problem.Problem
	series string
	words  []string
}

// refusedAtEdge is a refusal of an agent's call.
func refusedAtEdge(by *Edge, call string, p problem.Problem) refusal {
	return refusal{by, p, fmt.Sprintf("isthmus_edge_refused_total{call=%q,reason=%q}", call, p.Reason), []string{"msg=refused", "call=" + call}}
}

// refusedAtHub is a refusal of an edge's call.
func refusedAtHub(by *Hub, call string, p problem.Problem) refusal {
	return refusal{by, p, fmt.Sprintf("isthmus_feed_refused_total{call=%q,reason=%q}", call, p.Reason), []string{`msg="feed: refused"`, "call=" + call}}
}

// to has somebody do what is to be refused.
func (r refusal) to(t *testing.T, act func()) {
	t.Helper()
	counted, logged := r.count(t), len(r.by.Log())
	act()
	if n := r.count(t) - counted; n != 1 {
		t.Errorf("%s counts %d more, want 1", r.series, n)
	}
	for line := range strings.Lines(r.by.Log()[logged:]) {
		if r.in(line) {
			return
		}
	}
	t.Errorf("no line of the log has %s and all of %q", r.reason.Code, r.words)
}

func (r refusal) in(line string) bool {
	for _, word := range append(r.words, r.reason.Code) {
		if !strings.Contains(line, word) {
			return false
		}
	}
	return true
}

// count is the number in the series now; one that does not exist yet has none.
func (r refusal) count(t *testing.T) int {
	t.Helper()
	text, err := r.by.metrics()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, r.series+" "); ok {
			n, err := strconv.Atoi(strings.TrimSpace(value))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

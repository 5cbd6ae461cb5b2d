package attend_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/agent/attend"
	"github.com/isthmus-mesh/isthmus/agent/edgetest"
	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// machine attends with a certificate of the zone, and remembers what it hears.
type machine struct {
	*testing.T
	zone *edgetest.Zone
	link *attend.Link

	mu      sync.Mutex
	answers []*machinepb.AttendResponse
	losses  []string
	heard   chan struct{}
}

type source struct {
	certificate *tls.Certificate
	root        *x509.Certificate
}

func (s source) Certificate() *tls.Certificate { return s.certificate }
func (s source) Roots() []*x509.Certificate    { return []*x509.Certificate{s.root} }

func newMachine(t *testing.T, zone *edgetest.Zone, edges ...string) *machine {
	t.Helper()
	m := &machine{T: t, zone: zone, heard: make(chan struct{}, 100)}
	certificate := zone.Certificate(identity.Workload(edgetest.TrustDomain, edgetest.Workspace, edgetest.Service))
	m.link = attend.New(attend.Config{
		Edges: edges, Dial: attend.Dialer(nil).DialContext, Log: slog.New(slog.DiscardHandler),
		TLS: identity.ClientTLS(source{certificate, zone.Root()}, time.Now, func(id identity.ID) error {
			if _, _, ok := id.AsEdge(); !ok {
				return errors.New("no edge")
			}
			return nil
		}),
		Answer: func(answer *machinepb.AttendResponse) { m.note(func() { m.answers = append(m.answers, answer) }) },
		Lost:   func(edge string, err error) { m.note(func() { m.losses = append(m.losses, err.Error()) }) },
	}, &machinepb.Workload{Instance: "1234", Version: "v1"}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = m.link.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return m
}

func (m *machine) note(f func()) {
	m.mu.Lock()
	f()
	m.mu.Unlock()
	m.heard <- struct{}{}
}

// until waits until something heard makes it so.
func (m *machine) until(what string, holds func() bool) {
	m.Helper()
	timeout := time.After(20 * time.Second)
	for {
		m.mu.Lock()
		ok := holds()
		m.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-m.heard:
		case <-timeout:
			m.Fatalf("waited in vain for: %s; answers %v, losses %v", what, m.answers, m.losses)
		}
	}
}

func TestAttend(t *testing.T) {
	zone := edgetest.New(t)
	edge := zone.Start("e1")
	m := newMachine(t, zone, edge.Address)
	m.until("an answer", func() bool { return len(m.answers) == 1 && m.answers[0].Workload == "reviews-1" })
	if m.link.Edge() != edge.Address {
		t.Error(m.link.Edge())
	}
	m.link.Report(&machinepb.Health{Healthy: true})
	zone.Await("health", func(v edgetest.View) bool { return v.Health.GetHealthy() && v.Workload.Version == "v1" })
	m.link.Report(&machinepb.Health{Reason: "ill"})
	zone.Await("illness", func(v edgetest.View) bool { return v.Health.Reason == "ill" })
	if err := m.link.Leave(t.Context()); err != nil || !zone.View().Left {
		t.Errorf("%v, left %v", err, zone.View().Left)
	}
}

// New edges are heard of, and the connection goes over to one of them with what was said before.
func TestFailOver(t *testing.T) {
	zone := edgetest.New(t)
	first := zone.Start("e1")
	m := newMachine(t, zone, first.Address)
	m.until("an answer", func() bool { return len(m.answers) == 1 })
	before, err := m.link.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m.link.Report(&machinepb.Health{Healthy: true})
	first.Stop()
	m.until("a loss", func() bool { return len(m.losses) > 0 })
	second := zone.Start("e2")
	first.Restart()
	m.until("an answer that names both", func() bool { return len(m.answers[len(m.answers)-1].Edges) == 2 })
	first.Stop()
	m.until("an answer of the second", func() bool { return len(m.answers) == 3 })
	if m.link.Edge() != second.Address {
		t.Error(m.link.Edge())
	}
	after, err := m.link.Conn(t.Context())
	if err != nil || after == before {
		t.Error("the connection is the old one", err)
	}
	zone.Await("health is said again", func(v edgetest.View) bool { return v.Health.GetHealthy() })
}

// Leaving is said to the next edge if the first dies meanwhile.
func TestLeaveWhileNoEdgeAnswers(t *testing.T) {
	zone := edgetest.New(t)
	edge := zone.Start("e1")
	m := newMachine(t, zone, edge.Address)
	m.until("an answer", func() bool { return len(m.answers) == 1 })
	edge.Stop()
	m.until("a loss", func() bool { return len(m.losses) > 0 })
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := m.link.Leave(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	edge.Restart()
	if err := m.link.Leave(t.Context()); err != nil || !zone.View().Left {
		t.Errorf("%v, left %v", err, zone.View().Left)
	}
}

func TestStrangersAreNotTrusted(t *testing.T) {
	zone, other := edgetest.New(t), edgetest.New(t)
	m := newMachine(t, zone, other.Start("e1").Address)
	m.until("a refusal", func() bool { return len(m.losses) > 0 && strings.Contains(m.losses[0], "ISM2007") })
}

func TestSilentEdge(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	zone := edgetest.New(t)
	edge := zone.Start("e1")
	m := newMachine(t, zone, l.Addr().String(), edge.Address)
	m.until("an answer of the edge that speaks", func() bool { return len(m.answers) == 1 })
}

package roster_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	. "github.com/isthmus-mesh/isthmus/edge/internal/zonetest"
	"github.com/isthmus-mesh/isthmus/edge/roster"
)

// stoppedZone is a zone whose clock stands still: no lease runs out but by pass.
type stoppedZone struct {
	*zone
	clock sync.Mutex
	time  time.Time
}

func newStoppedZone(t *testing.T) *stoppedZone {
	t.Helper()
	s := &stoppedZone{time: time.Now()}
	s.zone = &zone{Zone: New(t), t: t, path: filepath.Join(t.TempDir(), "workloads"), now: func() time.Time {
		s.clock.Lock()
		defer s.clock.Unlock()
		return s.time
	}}
	s.start()
	return s
}

func (s *stoppedZone) pass(d time.Duration) {
	s.clock.Lock()
	defer s.clock.Unlock()
	s.time = s.time.Add(d)
}

// machine has a workload attend on the machine of a number, which can be reached.
func (s *stoppedZone) machine(number int) *agent {
	s.t.Helper()
	w := registration()
	w.Instance, w.Addresses = fmt.Sprintf("%016x", number), []string{fmt.Sprintf("10.0.0.%d", number)}
	s.set(number, func(address string) { s.reachable[address] = true })
	return s.attend(s.Workload("shop", "reviews"), w)
}

func (s *stoppedZone) set(number int, change func(address string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(fmt.Sprintf("10.0.0.%d:9080", number))
}

func (s *stoppedZone) silence(number int) {
	s.set(number, func(address string) { delete(s.reachable, address) })
}

func (s *stoppedZone) asked(number int) (times int) {
	s.set(number, func(address string) { times = s.probed[address] })
	return times
}

// hangUp ends attendance and waits until the machine has been probed because of it.
func (s *stoppedZone) hangUp(a *agent, number int) {
	s.t.Helper()
	a.hangUp()
	Eventually(s.t, "hung up", func() bool { return !s.get(a).Connected })
	Eventually(s.t, "probed", func() bool { return s.asked(number) > 0 })
}

// until lets leases run out until something holds.
func (s *stoppedZone) until(what string, holds func() bool) {
	s.t.Helper()
	Eventually(s.t, what, func() bool { s.pass(lease); return holds() })
}

func TestVanishedMachineIsOutAtOnce(t *testing.T) {
	s := newStoppedZone(t)
	s.machine(1)
	gone := s.machine(2)
	s.silence(2)
	gone.hangUp()
	Eventually(t, "out of service while the other agent attends", s.is(gone.first.Workload, false))
}

func TestDeadAgentHurtsNobody(t *testing.T) {
	s := newStoppedZone(t)
	s.machine(1)
	a := s.machine(2)
	s.hangUp(a, 2)
	s.silence(2)
	s.pass(lease - 1)
	if !s.is(a.first.Workload, true)() {
		t.Error("its proxy answered, and it lost its lease")
	}
	s.until("out of service after the lease", s.is(a.first.Workload, false))
}

func TestRefusingIsAnAnswer(t *testing.T) {
	s := newStoppedZone(t)
	a := s.machine(1)
	s.set(1, func(address string) { s.refusing[address] = true })
	a.hangUp()
	Eventually(t, "out of service with nobody to ask", s.is(a.first.Workload, false))
	b, c := s.machine(2), s.machine(3)
	s.silence(2)
	s.set(3, func(address string) { s.refusing[address] = true })
	b.hangUp()
	Eventually(t, "the machine next to it refuses, so the edge is not alone", s.is(b.first.Workload, false))
	if !s.is(c.first.Workload, true)() {
		t.Error("whose agent attends is not judged by probes")
	}
}

// What was silent while the edge was cut off is asked again when the first one answers.
func TestEdgeThatWasAloneAsksAgain(t *testing.T) {
	s := newStoppedZone(t)
	s.machine(1)
	a := s.machine(2)
	s.set(1, func(address string) { s.answerTo[address] = 2 })
	s.set(2, func(address string) { s.answerTo[address] = 3 })
	a.hangUp()
	Eventually(t, "probed until it answers", func() bool { return s.asked(2) == 3 })
	s.until("probed after its lease", func() bool { return s.asked(2) == 4 })
	if w := s.get(a); !w.Healthy {
		t.Errorf("%+v", w)
	}
}

// An edge that is cut off reaches nobody, misses every agent, and must take nobody out of service.
func TestEdgeAloneJudgesNobody(t *testing.T) {
	s := newStoppedZone(t)
	agents := []*agent{s.machine(1), s.machine(2), s.machine(3)}
	for i := range agents {
		s.silence(i + 1)
	}
	for i, a := range agents { // the first is missed while the edge still believes that the others attend
		s.hangUp(a, i+1)
	}
	for i := range agents {
		many := s.asked(i+1) + 10
		s.until("asked many times", func() bool { return s.asked(i+1) > many })
	}
	for _, a := range agents {
		if !s.is(a.first.Workload, true)() {
			t.Errorf("the edge is alone and took %s out of service", a.first.Workload)
		}
	}
	s.set(1, func(address string) { s.reachable[address] = true })
	s.until("when one answers, the silent ones are gone", func() bool {
		return s.is(agents[1].first.Workload, false)() && s.is(agents[2].first.Workload, false)()
	})
	if !s.is(agents[0].first.Workload, true)() {
		t.Error("the one that answers is out of service")
	}
	s.silence(1)
	s.until("the last one, with nobody to compare it with, goes with its lease", s.is(agents[0].first.Workload, false))
}

func TestOnlyMachineHasItsLease(t *testing.T) {
	s := newStoppedZone(t)
	a := s.machine(1)
	s.silence(1)
	s.hangUp(a, 1)
	s.pass(lease - 1)
	if !s.is(a.first.Workload, true)() {
		t.Error("there was nobody to compare it with, and it lost its lease")
	}
	s.until("out of service after the lease", s.is(a.first.Workload, false))
}

func TestWorkloadWithoutPortHasItsLease(t *testing.T) {
	s := newStoppedZone(t)
	s.machine(1)
	w := registration()
	w.Ports = nil
	a := s.attend(s.Workload("shop", "batch"), w)
	a.hangUp()
	Eventually(t, "hung up", func() bool { return !s.get(a).Connected })
	s.pass(lease - 1)
	if !s.is(a.first.Workload, true)() {
		t.Error("it cannot be asked, and lost its lease")
	}
	s.until("out of service after the lease", s.is(a.first.Workload, false))
}

// get is an agent's workload as the roster has it.
func (s *stoppedZone) get(a *agent) *roster.Workload {
	for _, w := range s.All() {
		if w.Name == a.first.Workload {
			return w
		}
	}
	s.t.Fatalf("%s is unknown", a.first.Workload)
	return nil
}

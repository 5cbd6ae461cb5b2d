package siblings_test

import (
	"reflect"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	. "github.com/isthmus-mesh/isthmus/edge/internal/zonetest"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

func TestEdgesKnowOneAnothersWorkloads(t *testing.T) {
	w := newWorld(t)
	a, b := w.edge("e1"), w.edge("e2")
	before := a.attend(w.Workload("shop", "reviews"))
	meet(a, b)
	Eventually(t, "the sibling knows it", b.is(true))
	if got := before.hear().Edges; !reflect.DeepEqual(got, []string{a.address, b.address}) {
		t.Errorf("the agent hears of the edges %v", got)
	}
	before.is(false)
	Eventually(t, "the sibling knows its health", b.is(false))
	if w := b.All()[0]; w.Reason != "as it is" || w.Connected {
		t.Errorf("at the sibling: %+v", w)
	}
	before.is(true)
	Eventually(t, "the sibling knows that it is back", b.is(true))
}

func TestLeavingWaitsForTheCallersOfAllEdges(t *testing.T) {
	w := newWorld(t)
	a, b := w.edge("e1"), w.edge("e2")
	meet(a, b)
	agent := a.attend(w.Workload("shop", "reviews"))
	Eventually(t, "the sibling knows it", b.is(true))
	Eventually(t, "the edge follows its sibling", func() bool { return a.siblings.Settle(t.Context()) == nil })
	for len(b.settled) > 0 {
		<-b.settled
	}
	agent.say(&machinepb.AttendRequest{Leave: true})
	if answer := agent.hear(); !answer.Left || answer.Warning != "" {
		t.Errorf("answered %v", answer)
	}
	if b.is(true)() {
		t.Error("the sibling still calls it")
	}
	select {
	case <-b.settled:
	default:
		t.Error("the sibling's proxies were not waited for")
	}
	agent.hangUp()
	Eventually(t, "it is gone", a.empty)
	Eventually(t, "it is gone at the sibling", b.empty)
}

func TestAgentGoesToAnotherEdge(t *testing.T) {
	w := newWorld(t)
	a, b := w.edge("e1"), w.edge("e2")
	meet(a, b)
	self := w.Workload("shop", "reviews")
	first := a.attend(self)
	Eventually(t, "the sibling knows it", b.is(true))
	first.hangUp()
	second := b.attend(self)
	if first.first.Workload != second.first.Workload {
		t.Errorf("the workload is %s at one and %s at the other", first.first.Workload, second.first.Workload)
	}
	second.is(false)
	Eventually(t, "the old edge knows its health", a.is(false))
	second.is(true) // its probe fails all the time: only the sibling can say so
	Eventually(t, "the old edge believes the new one", a.is(true))
}

// An edge that has not noticed yet that an agent's stream is dead believes the edge where it is now.
func TestNewerAttendanceWins(t *testing.T) {
	w := newWorld(t)
	a, b := w.edge("e1"), w.edge("e2")
	meet(a, b)
	self := w.Workload("shop", "reviews")
	stale := a.attend(self)
	Eventually(t, "the sibling knows it", b.is(true))
	b.attend(self).is(false)
	Eventually(t, "the old edge knows its health", a.is(false))
	stale.is(true)
	if _, err := stale.stream.Recv(); status.Code(err) != codes.Aborted {
		t.Errorf("the older stream ends with %v", err)
	}
	if !b.is(false)() || !a.is(false)() {
		t.Error("the older stream was believed")
	}
}

func TestSiblingsWorkloadsAreLookedAfterWhenItDies(t *testing.T) {
	w := newWorld(t)
	w.reach(true)
	a, b := w.edge("e1"), w.edge("e2")
	meet(a, b)
	a.attend(w.Workload("shop", "reviews"))
	Eventually(t, "the sibling knows it", b.is(true))
	a.stop()
	w.reach(false)
	Eventually(t, "nothing answers there any more", b.is(false))
	w.reach(true)
	Eventually(t, "it answers again", b.is(true))
}

// What left while two edges could not talk is not called for long by the one that remembers it.
func TestLeftWhileApart(t *testing.T) {
	w := newWorld(t)
	w.reach(true)
	a, b := w.edge("e1"), w.edge("e2")
	meet(a, b)
	self := w.Workload("shop", "reviews")
	a.attend(self)
	Eventually(t, "the sibling knows it", b.is(true))
	a.stop()
	there := b.attend(self)
	there.say(&machinepb.AttendRequest{Leave: true})
	there.hear()
	there.hangUp()
	Eventually(t, "it left", b.empty)
	w.reach(false)
	a.again()
	meet(a, b)
	Eventually(t, "the edge that was away finds out", a.is(false))
	Eventually(t, "nobody believes it to be well", func() bool { return !b.is(true)() })
}

func TestOnlySiblingsFollow(t *testing.T) {
	w := newWorld(t)
	a := w.edge("e1")
	for name, as := range map[string]*Peer{
		"an edge of another zone": w.Edge("dc2", "e2"), "a workload": w.Workload("shop", "reviews"), "nobody": w.Nobody(),
	} {
		t.Run(name, func(t *testing.T) {
			client := machinepb.NewEdgesClient(w.Dial(a.address, as))
			stream, err := client.Follow(t.Context())
			Check(t, err)
			_ = stream.Send(&machinepb.FollowRequest{})
			if _, err := stream.Recv(); !refusal(err) {
				t.Errorf("following ends with %v", err)
			}
			if _, err := client.Settle(t.Context(), &machinepb.SettleRequest{}); !refusal(err) {
				t.Errorf("settling ends with %v", err)
			}
		})
	}
}

func refusal(err error) bool {
	code := status.Code(err)
	return code == codes.PermissionDenied || code == codes.Unauthenticated
}

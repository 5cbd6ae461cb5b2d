package feed_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

var committed = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

func TestRevisionIsWhole(t *testing.T) {
	h := newHub(t, feed.Limits{PartBytes: 64}) // about two resources a part
	var state []*feedpb.Resource
	for i := range 100 {
		state = append(state, resource(fmt.Sprintf("VirtualService/shop/route-%02d", i), "1"))
	}
	check(t, h.Reset("dc1", 7, committed, state))
	e := h.edge("e1", nil)
	eventually(t, "revision 7", e.at(7))
	if got := e.applied(); len(got) != 1 || len(got[0].Upserts) != 100 || !got[0].Committed.Equal(committed) {
		t.Fatalf("got %d revisions, the first with %d resources committed %v; want all in one", len(got), len(got[0].Upserts), got[0].Committed)
	}
	eventually(t, "acknowledgement", func() bool { return h.has("accepted dc1/e1 7") })
	check(t, h.Publish("dc1", 8, committed, []*feedpb.Resource{resource("VirtualService/shop/route-00", "2")}, []string{"VirtualService/shop/route-01"}))
	eventually(t, "revision 8", e.at(8))
	if last := e.applied()[1]; len(last.Upserts) != 1 || len(last.Removed) != 1 {
		t.Errorf("revision 8 carries %d and removes %d, want the one change and the one removal", len(last.Upserts), len(last.Removed))
	}
}

func TestResumeSendsOnlyTheDifference(t *testing.T) {
	h := newHub(t, feed.Limits{})
	check(t, h.Reset("dc1", 9, committed, []*feedpb.Resource{resource("a", "1"), resource("b", "2"), resource("c", "1")}))
	same := h.edge("same", map[string]string{"a": "1", "b": "2", "c": "1"})
	eventually(t, "revision 9", same.at(9))
	if got := same.applied()[0]; len(got.Upserts)+len(got.Removed) != 0 {
		t.Errorf("an edge that has everything was sent %v and told to remove %v", got.Upserts, got.Removed)
	}
	old := h.edge("old", map[string]string{"a": "1", "b": "1", "gone": "1"})
	eventually(t, "revision 9", old.at(9))
	if _, got := old.have(); !maps.Equal(got, map[string]string{"a": "1", "b": "2", "c": "1"}) || len(old.applied()[0].Upserts) != 2 {
		t.Errorf("state %v after %v", got, old.applied())
	}
}

func TestUnchangedIsNotSent(t *testing.T) {
	h := newHub(t, feed.Limits{})
	check(t, h.Reset("dc1", 1, committed, []*feedpb.Resource{resource("a", "1")}))
	e := h.edge("e1", nil)
	eventually(t, "revision 1", e.at(1))
	check(t, h.Reset("dc1", 2, committed, []*feedpb.Resource{resource("a", "1")}))
	eventually(t, "revision 2", e.at(2))
	if got := e.applied()[1]; len(got.Upserts)+len(got.Removed) != 0 {
		t.Errorf("sent %v although nothing changed", got)
	}
}

func TestZoneNotYetPublishedTakesNothingAway(t *testing.T) {
	h := newHub(t, feed.Limits{})
	e := h.edge("e1", map[string]string{"a": "1", "b": "1"})
	eventually(t, "connection", func() bool { return h.has("connected dc1/e1 at 0") })
	check(t, h.Reset("dc1", 3, committed, []*feedpb.Resource{resource("a", "1")}))
	eventually(t, "revision 3", e.at(3))
	if got := e.applied(); len(got) != 1 || len(got[0].Removed) != 1 {
		t.Errorf("got %v, want one revision that removes b", got)
	}
}

func TestSlowEdgeDelaysNobodyAndSkipsAhead(t *testing.T) {
	h := newHub(t, feed.Limits{})
	slow, quick := h.edge("slow", nil), h.edge("quick", nil)
	gate := make(chan struct{})
	slow.set(func(e *edge) { e.gate = gate })
	for i := range int64(200) {
		check(t, h.Publish("dc1", i+1, committed, []*feedpb.Resource{resource("a", fmt.Sprint(i)), resource(fmt.Sprintf("r%d", i), "1")}, nil))
	}
	eventually(t, "quick edge at the end", quick.at(200))
	close(gate)
	eventually(t, "slow edge at the end", slow.at(200))
	if n := len(slow.applied()); n > 2 {
		t.Errorf("the slow edge was sent %d revisions, want at most the one it hung in and one for all the rest", n)
	}
	if _, got := slow.have(); len(got) != 201 || got["a"] != "199" {
		t.Errorf("the slow edge ended with %d resources, a=%s", len(got), got["a"])
	}
}

func TestRefusedRevisionComesAgainWithTheNext(t *testing.T) {
	h := newHub(t, feed.Limits{})
	check(t, h.Reset("dc1", 1, committed, []*feedpb.Resource{resource("a", "1"), resource("b", "1")}))
	e := h.edge("e1", nil)
	eventually(t, "revision 1", e.at(1))
	e.set(func(e *edge) { e.refuse = errors.New("no room") })
	check(t, h.Publish("dc1", 2, committed, []*feedpb.Resource{resource("a", "2")}, []string{"b"}))
	eventually(t, "refusal", func() bool { return h.has("refused dc1/e1 2: no room") })
	e.set(func(e *edge) { e.refuse = nil })
	check(t, h.Publish("dc1", 3, committed, []*feedpb.Resource{resource("c", "1")}, nil))
	eventually(t, "revision 3", e.at(3))
	if _, got := e.have(); !maps.Equal(got, map[string]string{"a": "2", "c": "1"}) {
		t.Errorf("state %v, want the refused change included", got)
	}
}

func TestTooLargeIsLeftOutAlone(t *testing.T) {
	h := newHub(t, feed.Limits{ResourceBytes: 100})
	large := resource("large", strings.Repeat("x", 200))
	err := h.Reset("dc1", 1, committed, []*feedpb.Resource{resource("a", "1"), large})
	var p *problem.Error
	if !errors.As(err, &p) || p.Code != problem.ResourceTooLarge.Code || !strings.Contains(p.Detail, "large has") {
		t.Errorf("Reset: %v, want %s about large", err, problem.ResourceTooLarge.Code)
	}
	e := h.edge("e1", nil)
	eventually(t, "revision 1", e.at(1))
	if _, got := e.have(); len(got) != 1 {
		t.Errorf("state %v", got)
	}
}

func TestReconnect(t *testing.T) {
	h := newHub(t, feed.Limits{})
	first := h.address
	check(t, h.Reset("dc1", 1, committed, []*feedpb.Resource{resource("a", "1")}))
	state := h.grpc
	h.start(feed.Limits{}) // the second replica
	check(t, h.Reset("dc1", 2, committed, []*feedpb.Resource{resource("a", "1"), resource("b", "1")}))
	e := h.edge("e1", nil, first, h.address)
	eventually(t, "first replica's revision", e.at(1))
	state.Stop()
	eventually(t, "second replica's revision", e.at(2))
	if got := e.applied()[1]; len(got.Upserts) != 1 || got.Upserts[0].Name != "b" {
		t.Errorf("the second replica sent %v, want b only", got.Upserts)
	}
	eventually(t, "gone", func() bool { return h.has("gone dc1/e1") })
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.links) < 3 || e.links[0] != nil || e.links[1] == nil || e.links[len(e.links)-1] != nil {
		t.Errorf("links %v, want made, lost, made", e.links)
	}
}

func TestForget(t *testing.T) {
	h := newHub(t, feed.Limits{})
	check(t, h.Reset("dc1", 1, committed, []*feedpb.Resource{resource("a", "1")}))
	e := h.edge("e1", nil)
	eventually(t, "revision 1", e.at(1))
	h.Forget("dc1")
	eventually(t, "gone", func() bool { return h.has("gone dc1/e1") })
	if _, got := e.have(); len(got) != 1 {
		t.Errorf("a deleted zone's edge lost its state: %v", got)
	}
}

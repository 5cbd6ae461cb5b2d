package feed_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// taken are the reports that the hub has.
func (h *hub) taken() []*feedpb.ReportRequest {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*feedpb.ReportRequest(nil), h.reports...)
}

func TestReportBeginsWithTheInventory(t *testing.T) {
	h := newHub(t, feed.Limits{})
	e := h.edge("e1", nil)
	eventually(t, "inventory", func() bool { return len(h.taken()) == 1 })
	e.Report(&feedpb.ReportRequest{WorkloadsGone: []string{"web-1"}})
	eventually(t, "news", func() bool { return len(h.taken()) == 2 })
	got := h.taken()
	if !got[0].Reset_ || !got[0].ConditionsSet || got[1].Reset_ || got[1].WorkloadsGone[0] != "web-1" || got[1].Sequence != 2 {
		t.Errorf("got %v", got)
	}
}

func TestReportsCoalesceWhileTheHubIsBusy(t *testing.T) {
	h := newHub(t, feed.Limits{})
	h.reportsIn = make(chan struct{}) // before there is an edge
	e := h.edge("e1", nil)
	h.reportsIn <- struct{}{} // the inventory
	eventually(t, "inventory", func() bool { return len(h.taken()) == 1 })
	e.Report(&feedpb.ReportRequest{Workloads: []*feedpb.Workload{{Name: "first"}}})
	h.reportsIn <- struct{}{}
	eventually(t, "first news", func() bool { return len(h.taken()) == 2 })
	e.Report(&feedpb.ReportRequest{Workloads: []*feedpb.Workload{{Name: "hangs"}}})
	for i := range 1000 { // whichever of these goes out first, the rest waits for its answer
		e.Report(&feedpb.ReportRequest{
			Workloads:  []*feedpb.Workload{{Name: "web-1", Healthy: i == 999}},
			Receipts:   []*feedpb.Receipt{{Revision: int64(i), Proxies: []string{"p1"}}, {Revision: 5, Proxies: []string{fmt.Sprint("q", i)}}},
			Rejections: []*feedpb.Rejection{{Resource: "a", Proxy: "p1", Resolved: i == 999}},
			Cluster:    &feedpb.Cluster{Pods: uint32(i)},
		})
	}
	close(h.reportsIn)
	eventually(t, "all news", func() bool {
		all := h.taken()
		last := all[len(all)-1]
		healthy := func(w *feedpb.Workload) bool { return w.Name == "web-1" && w.Healthy }
		return slices.ContainsFunc(last.Workloads, healthy) && len(last.Rejections) == 1 && last.Rejections[0].Resolved &&
			last.Cluster.GetPods() == 999
	})
	if n := len(h.taken()); n > 5 {
		t.Errorf("%d messages for 1000 reports to a busy hub", n)
	}
}

func TestReportResetAfterReconnect(t *testing.T) {
	h := newHub(t, feed.Limits{})
	first, old := h.address, h.grpc
	h.start(feed.Limits{})
	e := h.edge("e1", nil, first, h.address)
	eventually(t, "inventory", func() bool { return len(h.taken()) == 1 })
	e.set(func(e *edge) { e.inventory = &feedpb.ReportRequest{Workloads: []*feedpb.Workload{{Name: "web-1"}}} })
	old.Stop()
	eventually(t, "second inventory", func() bool { return len(h.taken()) == 2 })
	if got := h.taken()[1]; !got.Reset_ || got.Sequence != 1 || len(got.Workloads) != 1 {
		t.Errorf("after reconnecting the edge reports %v, want everything", got)
	}
	e.stop()
}

// The inventory of an edge that leads its zone from now on goes before what it told earlier, and news after it join it.
func TestInventoryOfALeaderReplacesEarlierNews(t *testing.T) {
	h := newHub(t, feed.Limits{})
	h.reportsIn = make(chan struct{}) // before there is an edge
	e := h.edge("e1", nil)
	h.reportsIn <- struct{}{} // the inventory
	eventually(t, "inventory", func() bool { return len(h.taken()) == 1 })
	e.Report(&feedpb.ReportRequest{Workloads: []*feedpb.Workload{{Name: "hangs"}}})
	e.Report(&feedpb.ReportRequest{Workloads: []*feedpb.Workload{{Name: "old"}}, WorkloadsGone: []string{"older"}})
	e.Report(&feedpb.ReportRequest{Workloads: []*feedpb.Workload{{Name: "web-1"}}, Extent: feedpb.ReportRequest_ZONE})
	e.Report(&feedpb.ReportRequest{Workloads: []*feedpb.Workload{{Name: "web-2"}}})
	close(h.reportsIn)
	eventually(t, "what the leader knows", func() bool { return h.told() == "web-1 web-2" })
	e.Report(&feedpb.ReportRequest{WorkloadsGone: []string{"web-1"}})
	eventually(t, "news", func() bool { return h.told() == "web-2" })
}

// told are the workloads that the reports taken add up to.
func (h *hub) told() string {
	names := map[string]bool{}
	for _, report := range h.taken() {
		if report.Extent == feedpb.ReportRequest_ZONE {
			clear(names)
		}
		for _, w := range report.Workloads {
			names[w.Name] = true
		}
		for _, name := range report.WorkloadsGone {
			delete(names, name)
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), " ")
}

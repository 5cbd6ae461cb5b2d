package pilot

import (
	"maps"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// One proxy may be behind another and overtake it within a run of receipts: its last one is told last.
func TestTheLastReceiptCounts(t *testing.T) {
	r := newRecorder()
	deliver([]event{
		{receipt: "web-1", revision: 8}, {receipt: "reviews-1", revision: 7}, {receipt: "reviews-1", revision: 8},
		{rejected: &feedpb.Rejection{Proxy: "web-1"}},
		{receipt: "reviews-1", revision: 9}, {receipt: "web-1", revision: 9}, {receipt: "web-1", revision: 3}, // a backup
	}, r)
	if want := map[string]int64{"reviews-1": 9, "web-1": 3}; !maps.Equal(r.receipts, want) || len(r.rejected) != 1 {
		t.Errorf("receipts %v and %d rejections, want %v and 1", r.receipts, len(r.rejected), want)
	}
	deliver([]event{{receipt: "web-1", revision: 8}, {receipt: "reviews-1", revision: 7}, {receipt: "reviews-1", revision: 8}}, r)
	if want := map[string]int64{"reviews-1": 8, "web-1": 8}; !maps.Equal(r.receipts, want) {
		t.Errorf("receipts %v, want %v", r.receipts, want)
	}
}

// After the hub came back from a backup, what a proxy acknowledged of before is no receipt, however late it comes.
func TestReceiptsOfBeforeABackup(t *testing.T) {
	w := newWorld(t)
	st := &stream{name: "web-1", node: &corev3.Node{}, over: make(chan struct{})}
	w.pilot.streams.add(st)
	w.pilot.receipt(st, version{4, 8})
	w.pilot.streams.forgetReceipts(5)
	w.pilot.receipt(st, version{5, 9})
	if told := w.pilot.Receipts()["web-1"]; told != 0 {
		t.Errorf("revision %d is told", told)
	}
	w.pilot.receipt(st, version{6, 3})
	w.events.await(t, "the receipt after the backup", func() bool { return w.events.receipts["web-1"] == 3 })
}

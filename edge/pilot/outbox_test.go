package pilot

import (
	"maps"
	"testing"

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

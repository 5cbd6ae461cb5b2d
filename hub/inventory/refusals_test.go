package inventory_test

import (
	"reflect"
	"testing"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/hub/inventory"
)

var route = inventory.Object{Kind: "HTTPRoute", Namespace: "shop", Name: "reviews"}

func rejection(proxy string) *feedpb.Rejection {
	return &feedpb.Rejection{
		Resource: "VirtualService/shop/reviews", Proxy: proxy, Message: "bad regex",
		Origins: []*feedpb.Origin{{Kind: "HTTPRoute", Namespace: "shop", Name: "reviews", Generation: 2}},
	}
}

func TestRefusalConcernsItsGenerationOnly(t *testing.T) {
	w := newWorld(t)
	w.connect("edge-1")
	w.reject(rejection("b"), rejection("a"))
	want := []inventory.Refusal{{Zone: "dc1", Resource: "VirtualService/shop/reviews", Message: "bad regex", Proxies: []string{"a", "b"}}}
	if got := w.Refusals(route, 2); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := w.Refusals(route, 3); len(got) != 0 {
		t.Errorf("generation 3 is blamed: %+v", got)
	}
	if want := []inventory.Object{route}; !reflect.DeepEqual(w.events.rejected, want) {
		t.Errorf("told about %v, want %v", w.events.rejected, want)
	}
}

func TestRefusalEnds(t *testing.T) {
	resolved := func(proxy string) *feedpb.Rejection {
		r := rejection(proxy)
		r.Resolved = true
		return r
	}
	ends := map[string]struct {
		end  func(*world)
		left int
	}{
		"OneProxy":     {func(w *world) { w.reject(resolved("a")) }, 1},
		"AllProxies":   {func(w *world) { w.reject(resolved("")) }, 0},
		"NotMentioned": {func(w *world) { w.connect("edge-1") }, 0},
		"Mentioned": {func(w *world) {
			w.Report("dc1", "edge-1", &feedpb.ReportRequest{Reset_: true, Rejections: []*feedpb.Rejection{rejection("b")}})
		}, 1},
		"EdgeGone": {func(w *world) { w.EdgeGone("dc1", "edge-1") }, 2},
	}
	for name, c := range ends {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.connect("edge-1")
			w.reject(rejection("a"), rejection("b"))
			c.end(w)
			left := 0
			for _, r := range w.Refusals(route, 2) {
				left += len(r.Proxies)
			}
			if left != c.left {
				t.Errorf("%d proxies refuse, want %d", left, c.left)
			}
		})
	}
}

func (w *world) reject(rejections ...*feedpb.Rejection) {
	w.Report("dc1", "edge-1", &feedpb.ReportRequest{Rejections: rejections})
}

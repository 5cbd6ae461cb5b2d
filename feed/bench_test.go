package feed_test

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// sized is a resource of about a kilobyte.
func sized(name, version string) *feedpb.Resource {
	body, err := anypb.New(wrapperspb.Bytes(make([]byte, 1000)))
	if err != nil {
		panic(err) // bytes always marshal
	}
	return &feedpb.Resource{Name: name, Version: version, Body: body}
}

// BenchmarkOneChange is the way of one changed resource among n, from Publish to the edge's answer, over
// mutual TLS on loopback.
func BenchmarkOneChange(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h := newHub(b, feed.Limits{})
			state := make([]*feedpb.Resource, n)
			for i := range state {
				state[i] = sized(fmt.Sprint("r", i), "0")
			}
			check(b, h.Reset("dc1", 1, committed, state))
			e := h.edge("e1", nil)
			eventually(b, "state", e.at(1))
			arrived := make(chan struct{}, 1)
			e.set(func(e *edge) { e.arrived = arrived })
			for i := int64(2); b.Loop(); i++ {
				check(b, h.Publish("dc1", i, committed, []*feedpb.Resource{sized("r0", fmt.Sprint(i))}, nil))
				<-arrived
			}
		})
	}
}

// BenchmarkFirstState is how long n resources of a kilobyte take to reach an edge that has none.
func BenchmarkFirstState(b *testing.B) {
	const n = 10_000
	h := newHub(b, feed.Limits{})
	state := make([]*feedpb.Resource, n)
	for i := range state {
		state[i] = sized(fmt.Sprint("r", i), "0")
	}
	check(b, h.Reset("dc1", 1, committed, state))
	for b.Loop() {
		e := h.edge("e1", nil)
		eventually(b, "state", e.at(1))
		e.stop()
	}
}

package kube_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/edge/kube"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	. "github.com/isthmus-mesh/isthmus/meshtest"
	cluster "github.com/isthmus-mesh/isthmus/meshtest/kube"
)

// answering answers writes in the API server's stead while it should.
type answering struct {
	next   http.RoundTripper
	status int
	header http.Header
	on     atomic.Bool
	denied atomic.Int32
}

func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPatch || !a.on.Load() || strings.Contains(r.URL.Path, "/leases") {
		return a.next.RoundTrip(r)
	}
	a.denied.Add(1)
	return &http.Response{StatusCode: a.status, Header: a.header, Body: http.NoBody, Request: r}, nil
}

// wrap puts it before the API server.
func (a *answering) wrap(config *kube.Config) {
	a.on.Store(true)
	config.REST.Wrap(func(next http.RoundTripper) http.RoundTripper {
		a.next = next
		return a
	})
}

// deniedTimes is whether so many writes were not let through.
func (a *answering) deniedTimes(is func(int32) bool) func() error {
	return func() error {
		if n := a.denied.Load(); !is(n) {
			return fmt.Errorf("%d writes were denied", n)
		}
		return nil
	}
}

func testTooMany(t *testing.T, c *cluster.Cluster) {
	a := &answering{status: http.StatusTooManyRequests, header: http.Header{"Retry-After": {"2"}}}
	z := newZone(t, c, "busy", restricted(t, c), a.wrap)
	check(t, z.Apply(1, []*feedpb.Resource{virtualService(t, "faults", "busy", "one")}, nil))
	z.waitCondition("Cluster", &problem.ClusterAway)
	Holds(t, "it waits as long as it was told", 1500*time.Millisecond, a.deniedTimes(func(n int32) bool { return n == 1 }))
	a.on.Store(false)
	z.waitTarget("faults", "busy", "one")
	z.waitCondition("Cluster", nil)
}

// An API server that fails is tried again, and the revision waits; no object is blamed.
func testBroken(t *testing.T, c *cluster.Cluster) {
	a := &answering{status: http.StatusInternalServerError}
	z := newZone(t, c, "broken", restricted(t, c), a.wrap)
	check(t, z.Apply(1, []*feedpb.Resource{virtualService(t, "faults", "broken", "one")}, nil))
	z.waitCondition("Cluster", &problem.ClusterAway)
	Eventually(t, "it tries again", a.deniedTimes(func(n int32) bool { return n > 2 }))
	if z.Cluster.Applied() != 0 || len(z.Rejections()) > 0 {
		t.Errorf("applied %d, rejections %v", z.Cluster.Applied(), z.Rejections())
	}
	a.on.Store(false)
	z.waitTarget("faults", "broken", "one")
	z.waitApplied(1)
	z.waitCondition("Cluster", nil)
}

// A conflict says that somebody was quicker: it is tried again, and nobody is told of it.
func testConflicts(t *testing.T, c *cluster.Cluster) {
	a := &answering{status: http.StatusConflict}
	z := newZone(t, c, "conflicts", restricted(t, c), a.wrap)
	check(t, z.Apply(1, []*feedpb.Resource{virtualService(t, "faults", "conflicts", "one")}, nil))
	Eventually(t, "it tries again", a.deniedTimes(func(n int32) bool { return n > 2 }))
	if told := z.told(); z.Cluster.Applied() != 0 || len(z.Rejections()) > 0 || len(told) > 0 {
		t.Errorf("applied %d, rejections %v, conditions %v", z.Cluster.Applied(), z.Rejections(), told)
	}
	a.on.Store(false)
	z.waitTarget("faults", "conflicts", "one")
	z.waitApplied(1)
}

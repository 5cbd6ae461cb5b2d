package kube

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// Two istiods share a cluster and its proxies; when one ends, all go to the other.
func TestTwoIstiods(t *testing.T) {
	w, r := meshtest.New(t), newRoot(t)
	z := NewZone(w, "east", Istio{CA: r.authority("east"), Replicas: 2})
	z.Apply(strict)
	z.Serve("shop", "reviews", "v1")
	z.Serve("shop", "reviews", "v2")
	z.Serve("shop", "web", "v1", "--reviews=http://reviews:9080")
	z.Serve("shop", "ratings", "v1")
	web := z.WaitPod("shop", "app=web")
	z.WaitPods(2, "shop", "app=reviews")
	z.WaitPod("shop", "app=ratings")
	one, two := z.Replicas[0], z.Replicas[1]
	meshtest.Eventually(t, "both have proxies, and together all", func() error {
		return connected(t.Context(), 1, one, two)
	})
	answers(t, web, "http://reviews:9080/")
	web.Ask(50, "http://reviews:9080/").MustLoseNothing(t)

	one.Kill()
	meshtest.Eventually(t, "the second has all", func() error { return connected(t.Context(), 4, two) })
	web.Ask(50, "http://reviews:9080/").MustLoseNothing(t)
	z.Serve("shop", "details", "v1")
	z.WaitPod("shop", "app=details")
	answers(t, web, "http://details:9080/")
	one.Start()
	one.WaitReady(z)
}

// connected is nil if four proxies at least are connected to replicas, each to one of them, and a number to each.
func connected(ctx context.Context, each int, replicas ...*Replica) error {
	var all []string
	for _, r := range replicas {
		proxies, err := r.Proxies(ctx)
		if err != nil || len(proxies) < each {
			return fmt.Errorf("%s has %v (%v)", r.Name, proxies, err)
		}
		all = append(all, proxies...)
	}
	slices.Sort(all)
	if distinct := slices.Compact(slices.Clone(all)); len(all) < 4 || len(distinct) != len(all) {
		return fmt.Errorf("connected are %v", all)
	}
	return nil
}

package kube_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	. "github.com/isthmus-mesh/isthmus/meshtest"
	cluster "github.com/isthmus-mesh/isthmus/meshtest/kube"
)

// BenchmarkDrift measures how long what others do to our objects lasts: one that is edited, from before the edit is
// sent until a watch shows it mended, and a thousand, from before they are deleted until all are back.
func BenchmarkDrift(b *testing.B) {
	c := cluster.Start(b)
	c.InstallIstioCRDs()
	namespaced(c, "drift")
	z := newZone(b, c, "drift")
	var all []*feedpb.Resource
	for n := range 1000 {
		all = append(all, virtualService(b, "drift", fmt.Sprint("vs-", n), "one"))
	}
	z.apply(1, all)
	b.Run("one", func(b *testing.B) { benchmarkOne(b, c) })
	b.Run("thousand", func(b *testing.B) { benchmarkThousand(b, z) })
}

// benchmarkOne edits one object after the other, because an object that was just mended is left alone for a second.
func benchmarkOne(b *testing.B, c *cluster.Cluster) {
	events, err := in(c, "drift").Watch(b.Context(), metav1.ListOptions{})
	check(b, err)
	defer events.Stop()
	edit := []byte(`{"spec":{"http":[{"redirect":{"authority":"evil"}}]}}`)
	var delays []time.Duration
	for n := 0; b.Loop(); n++ {
		name, began := fmt.Sprint("vs-", n%1000), time.Now()
		edited, err := in(c, "drift").Patch(b.Context(), name, types.MergePatchType, edit, metav1.PatchOptions{FieldManager: "mallory"})
		check(b, err)
		waitMended(b, events, edited)
		delays = append(delays, time.Since(began))
	}
	slices.Sort(delays)
	for _, p := range []int{50, 99} {
		b.ReportMetric(float64(delays[max(0, (len(delays)*p+99)/100-1)].Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
	}
}

// waitMended waits for the next generation after the edit: nobody but the edge makes one.
func waitMended(b *testing.B, events watch.Interface, edited *unstructured.Unstructured) {
	b.Helper()
	for event := range events.ResultChan() {
		if u, ok := event.Object.(*unstructured.Unstructured); ok && u.GetName() == edited.GetName() && u.GetGeneration() > edited.GetGeneration() {
			return
		}
	}
	b.Fatal("the watch ended")
}

func benchmarkThousand(b *testing.B, z *zone) {
	for b.Loop() {
		z.mu.Lock()
		z.drifts = nil
		z.mu.Unlock()
		check(b, in(z.cluster, "drift").DeleteCollection(b.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}))
		Eventually(b, "all are back", func() error {
			z.mu.Lock()
			defer z.mu.Unlock()
			if len(z.drifts) != 1000 {
				return fmt.Errorf("%d told", len(z.drifts))
			}
			return nil
		})
	}
}

package apiserver

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BenchmarkCommitToStream is the time from a write's request to its batch in the stream, TLS to the
// API and fsync included.
func BenchmarkCommitToStream(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	batches := make(chan Batch, 1000)
	go world.Stream(ctx, func(batch Batch) error { batches <- batch; return nil })
	<-batches
	maps := world.core.CoreV1().ConfigMaps("default")
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "bench"}}
	if _, err := maps.Create(ctx, object, metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
	defer maps.Delete(context.Background(), "bench", metav1.DeleteOptions{})
	<-batches
	for i := 0; b.Loop(); i++ {
		object.Data = map[string]string{"i": fmt.Sprint(i)}
		written, err := maps.Update(ctx, object, metav1.UpdateOptions{})
		if err != nil {
			b.Fatal(err)
		}
		for seen := ""; seen != written.ResourceVersion; {
			seen = fmt.Sprint((<-batches).Revision)
		}
	}
}

// BenchmarkStreamLoad is the time to load 2,000 ConfigMaps of 1 KiB.
func BenchmarkStreamLoad(b *testing.B) {
	ctx := context.Background()
	maps := world.core.CoreV1().ConfigMaps("default")
	for i := range 2000 {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("load", i)}, Data: map[string]string{"x": fmt.Sprintf("%01000d", i)}}
		if _, err := maps.Create(ctx, object, metav1.CreateOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	defer maps.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
	enough := fmt.Errorf("enough")
	for b.Loop() {
		if err := world.Stream(ctx, func(Batch) error { return enough }); err != enough {
			b.Fatal(err)
		}
	}
}

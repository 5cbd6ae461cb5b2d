package meshtest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// Every write that the hub acknowledged is there after kill -9.
func TestAcknowledgedWritesOutliveTheHub(t *testing.T) {
	w := New(t)
	hub := w.Hub()
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var acknowledged []string
	var writers sync.WaitGroup
	for writer := range 4 {
		writers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				name := fmt.Sprintf("write-%d-%d", writer, n)
				if _, err := w.TryKubectl("create", "configmap", name, "--namespace=default"); err == nil {
					mu.Lock()
					acknowledged = append(acknowledged, "configmap/"+name+"\n")
					mu.Unlock()
				}
			}
		})
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(acknowledged) }
	Eventually(t, "some writes are acknowledged", func() error {
		if count() < 40 {
			return fmt.Errorf("%d", count())
		}
		return nil
	})
	hub.Kill()
	cancel()
	writers.Wait()
	hub.Start()
	hub.WaitReady()
	there := w.Kubectl("get", "configmaps", "--namespace=default", "--output=name")
	for _, name := range acknowledged {
		if !strings.Contains(there, name) {
			t.Errorf("%s was acknowledged and is lost", strings.TrimSpace(name))
		}
	}
}

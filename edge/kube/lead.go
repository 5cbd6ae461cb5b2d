package kube

import (
	"context"
	"fmt"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// leaseName is the name of the Lease that the edges of a zone share.
func leaseName(zone string) string { return "isthmus-edge-" + zone }

// lead stands for election until ctx ends, and again after each term.
func (c *Cluster) lead(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := c.candidate(ctx); err != nil {
			return err
		}
	}
	return nil
}

// candidate waits to be elected and serves one term. The lease is given back only when the term is over,
// so that never two edges write.
func (c *Cluster) candidate(ctx context.Context) error {
	held, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	var serving sync.Mutex
	end := context.AfterFunc(ctx, func() {
		serving.Lock() // not before the term is over
		defer serving.Unlock()
		release()
	})
	defer end()
	elector, err := leaderelection.NewLeaderElector(c.election(func(term context.Context) {
		serving.Lock()
		defer serving.Unlock()
		term, stop := context.WithCancel(term)
		defer stop()
		defer context.AfterFunc(ctx, stop)()
		c.config.Log.Info("this edge leads its zone")
		c.term(term)
	}))
	if err != nil {
		return fmt.Errorf("kube: %w", err)
	}
	elector.Run(held)
	serving.Lock() // a term that was lost ends before another begins
	defer serving.Unlock()
	if ctx.Err() == nil {
		c.standDown()
	}
	return nil
}

// standDown forgets what the edge that leads now has of its own.
func (c *Cluster) standDown() {
	c.rejections.clear()
	for _, resource := range c.collisions.all() { // who leads next tells of them again
		c.separated(resource)
	}
	if c.receipts == nil {
		return
	}
	c.receipts.clear()
	c.refusals.clear()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.contained = newContainment(c.config.Zone)
	c.contained.unsaved = true
	c.remember()
}

func (c *Cluster) election(begin func(context.Context)) leaderelection.LeaderElectionConfig {
	return leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: c.config.LeaseNamespace, Name: leaseName(c.config.Zone)},
			Client:     c.core.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: c.config.Identity},
		},
		LeaseDuration: c.config.Lease, RenewDeadline: c.config.Lease * 2 / 3, RetryPeriod: c.config.Lease * 2 / 15,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: begin,
			OnStoppedLeading: func() { c.config.Log.Info("this edge leads its zone no more") },
		},
	}
}

// Leading is whether this edge writes and reports.
func (c *Cluster) Leading() bool { return c.queue.Load() != nil }

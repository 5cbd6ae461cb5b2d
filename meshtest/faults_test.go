package meshtest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// TestFaults takes the parts of a mesh away in turn while a browser asks fifty times a second. No
// request may fail that the part taken away did not itself carry.
func TestFaults(t *testing.T) {
	w := New(t)
	zone := w.Zone("dc1")
	f := fault{Shop: zone.Shop(), zone: zone, hub: w.Hub()}
	f.w.Apply(anyReviews)
	f.w.Programmed("shop", "httproute/reviews")
	for _, s := range []struct {
		name string
		run  func(fault)
	}{
		{"hub killed", hubKilled},
		{"edge killed", edgeKilled},
		{"edge restarted with the hub away", edgeRestartedAlone},
		{"agents killed", agentsKilled},
		{"Envoy killed", envoyKilled},
		{"machine leaves", machineLeaves},
		{"machine rebooted with edge and hub away", rebootedAlone},
		{"edge's disk full", diskFull},
	} {
		w.Run(t, s.name, func(t *testing.T) { f.T = t; s.run(f) })
	}
}

// anyReviews lets every version of reviews answer, so that there is somebody to take over.
const anyReviews = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: reviews, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: reviews}]
  rules:
  - backendRefs: [{group: "", kind: Service, name: reviews, port: 9080}]
`

type fault struct {
	*testing.T
	*Shop
	zone *Zone
	hub  *Hub
}

// while runs what happens under load, and counts.
func (f fault) while(happens func()) *Tally {
	f.Helper()
	tally, stop := f.Load().Start(f)
	f.flows(tally)
	happens()
	f.flows(tally)
	stop()
	f.Logf("%s", tally)
	return tally
}

// flows waits until the load has gone on for some time.
func (f fault) flows(tally *Tally) {
	f.Helper()
	const some = 50
	goal := tally.Sent() + some
	Eventually(f, "the load goes on", func() error {
		if sent := tally.Sent(); sent < goal {
			return fmt.Errorf("%d of %d sent", sent, goal)
		}
		return nil
	})
}

// shuns waits until an instance of reviews receives nothing.
func (f fault) shuns(host string) {
	f.Helper()
	Eventually(f, "callers leave "+host+" alone", func() error {
		if got := f.Load().Send(f.Context(), 20).ByHost("reviews", host); got > 0 {
			return fmt.Errorf("it answered %d of 20", got)
		}
		return nil
	})
}

func (f fault) uses(host string) {
	f.Helper()
	Eventually(f, "callers use "+host, func() error {
		if f.Load().Send(f.Context(), 20).ByHost("reviews", host) == 0 {
			return fmt.Errorf("it answered none of 20")
		}
		return nil
	})
}

func hubKilled(f fault) {
	f.while(func() {
		f.hub.Kill()
		f.Turn("rv2", "health=bad")
		f.shuns("rv2") // endpoints are the zone's own business
		f.Turn("rv2", "")
		f.uses("rv2")
		f.hub.Start()
		f.hub.WaitReady()
		f.zone.WaitConnected(1)
	}).MustLoseNothing(f)
}

func edgeKilled(f fault) {
	edge := f.zone.Edges[0]
	f.while(func() {
		edge.Kill()
		f.Load().Send(f.Context(), 50).MustLoseNothing(f)
		edge.Start()
		f.zone.WaitConnected(1)
		f.Turn("rv2", "health=bad")
		f.shuns("rv2")
		f.Turn("rv2", "")
		f.uses("rv2")
	}).MustLoseNothing(f)
}

func edgeRestartedAlone(f fault) {
	edge := f.zone.Edges[0]
	f.while(func() {
		f.hub.Kill()
		edge.Kill()
		edge.Start()
		f.Turn("rv3", "health=bad")
		f.shuns("rv3")
		f.Turn("rv3", "")
		f.uses("rv3")
		f.hub.Start()
		f.hub.WaitReady()
		f.zone.WaitConnected(1)
	}).MustLoseNothing(f)
}

func agentsKilled(f fault) {
	before := f.envoys("web1", "rv1", "public")
	f.while(func() {
		for _, name := range []string{"web1", "rv1", "public"} {
			f.Agents[name].Kill()
			f.Agents[name].Start()
			f.Agents[name].WaitReady()
		}
	}).MustLoseNothing(f)
	if after := f.envoys("web1", "rv1", "public"); after != before {
		f.Errorf("Envoys were %s and are %s: the agents did not take them over", before, after)
	}
}

func (f fault) envoys(names ...string) string {
	f.Helper()
	var all []string
	for _, name := range names {
		pid, err := f.Agents[name].EnvoyPID()
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, pid)
	}
	return strings.Join(all, " ")
}

// inFlight is how many requests a killed Envoy can have carried at fifty a second.
const inFlight = 3

func envoyKilled(f fault) {
	before := f.envoys("rv2")
	tally := f.while(func() {
		if _, err := f.Machines["rv2"].Run(f.Context(), "", "kill", "-9", before); err != nil {
			f.Fatal(err)
		}
		f.Agents["rv2"].WaitReady()
		f.uses("rv2")
	})
	if tally.Failed() > inFlight {
		f.Errorf("%d requests failed, more than the killed Envoy can have carried: %s", tally.Failed(), tally)
	}
	if after := f.envoys("rv2"); after == before {
		f.Error("Envoy was not killed")
	}
}

func machineLeaves(f fault) {
	f.while(func() {
		if err := f.Agents["rv3"].Leave(); err != nil {
			f.Error(err)
		}
		f.Apps["rv3"].Stop()
	}).MustLoseNothing(f)
	if got := f.Load().Send(f.Context(), 30).ByHost("reviews", "rv3"); got > 0 {
		f.Errorf("who left answered %d of 30", got)
	}
}

func rebootedAlone(f fault) {
	f.hub.Kill()
	f.zone.Edges[0].Kill()
	rv2 := f.Machines["rv2"]
	rv2.Reboot()
	f.Apps["rv2"].Start()
	f.Agents["rv2"].Start()
	f.uses("rv2")
	f.Load().Send(f.Context(), 50).MustLoseNothing(f)
	f.zone.Edges[0].Start()
	f.hub.Start()
	f.hub.WaitReady()
	f.zone.WaitConnected(1)
}

func diskFull(f fault) {
	edge := f.zone.Edges[0]
	f.while(func() {
		edge.Disk.Fill()
		f.Turn("rv2", "health=bad")
		f.shuns("rv2")
		f.Turn("rv2", "")
		f.uses("rv2")
		f.w.Apply(allReviewsTo("v1"))
		f.shuns("rv2")
	}).MustLoseNothing(f)
	edge.MustRun()
	edge.Disk.Free()
	f.w.Programmed("shop", "httproute/reviews")
}

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

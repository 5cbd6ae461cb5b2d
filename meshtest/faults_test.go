package meshtest

import (
	"strings"
	"testing"
)

// TestFaults takes the parts of a mesh away in turn while a browser asks fifty times a second. No
// request may fail that the part taken away did not itself carry, and status says what is away.
func TestFaults(t *testing.T) {
	w := New(t)
	w.EdgeFlags = []string{"--certificate-ttl=2m"} // agents renew after 40 s
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
		{"machine leaves", machineLeaves},
		{"machine vanishes", machineVanishes},
		{"edge cut off from its machines", edgeAlone},
		{"Envoy killed", envoyKilled},
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

func hubKilled(f fault) {
	f.while(func() {
		f.hub.Kill()
		f.hubSilent()
		f.Turn("rv2", "health=bad")
		f.shuns("rv2") // endpoints are the zone's own business
		f.Turn("rv2", "")
		f.uses("rv2")
		f.renew("public", "web1", "rv1") // and so are certificates
		f.hubBack()
	}).MustLoseNothing(f)
}

func edgeKilled(f fault) {
	edge := f.zone.Edges[0]
	f.while(func() {
		edge.Kill()
		f.Load().Send(f.Context(), 50).MustLoseNothing(f)
		f.w.Says("zone dc1: no edge is connected; traffic goes on, changes wait, and nothing is heard of its 9 workloads\n", "Look at the edge's log")
		f.Agents["rv1"].Says("ISM5001", "connection refused", "Check that an edge runs")
		edge.Start()
		f.zone.WaitConnected(1)
		f.Turn("rv2", "health=bad")
		f.shuns("rv2")
		f.w.Says("on rv2: not healthy: ", "It gets no requests until its health check passes")
		f.Turn("rv2", "")
		f.uses("rv2")
		f.well()
	}).MustLoseNothing(f)
}

func edgeRestartedAlone(f fault) {
	edge := f.zone.Edges[0]
	f.while(func() {
		f.hub.Kill()
		edge.Kill()
		edge.Start()
		f.hubSilent()
		f.Turn("rv3", "health=bad")
		f.shuns("rv3")
		f.Turn("rv3", "")
		f.uses("rv3")
		f.hubBack()
	}).MustLoseNothing(f)
}

func agentsKilled(f fault) {
	before := f.envoys("web1", "rv1", "public")
	f.while(func() {
		for _, name := range []string{"web1", "rv1", "public"} {
			agent := f.Agents[name]
			agent.Kill()
			f.w.Says("on "+name+": its agent is not connected to an edge\n", "On that machine: isthmus-agent status")
			agent.Says("ISM5013", "Start it with isthmus-agent run")
			agent.Start()
			agent.WaitReady()
		}
		f.well()
	}).MustLoseNothing(f)
	if after := f.envoys("web1", "rv1", "public"); after != before {
		f.Errorf("Envoys were %s and are %s: the agents did not take them over", before, after)
	}
}

func machineLeaves(f fault) {
	f.w.Says("9 workloads, 0 unhealthy; 9 proxies, 9 connected")
	f.while(func() {
		if err := f.Agents["rv3"].Leave(); err != nil {
			f.Error(err)
		}
		f.Apps["rv3"].Stop()
	}).MustLoseNothing(f)
	if got := f.Load().Send(f.Context(), 30).ByHost("reviews", "rv3"); got > 0 {
		f.Errorf("who left answered %d of 30", got)
	}
	f.w.Says("8 workloads, 0 unhealthy; 8 proxies, 8 connected", "All is well.")
	f.Agents["rv3"].Says("ISM5013")
}

func envoyKilled(f fault) {
	before := f.envoys("rv2")
	f.losesAtMostWhatIsInFlight(f.while(func() {
		if _, err := f.Machines["rv2"].Run(f.Context(), "", "kill", "-9", before); err != nil {
			f.Fatal(err)
		}
		f.Agents["rv2"].WaitReady()
		f.uses("rv2")
	}))
	if after := f.envoys("rv2"); after == before {
		f.Error("Envoy was not killed")
	}
	f.w.Says("on rv2: serves, but Envoy ended by itself once, at ")
	f.Agents["rv2"].Says("Envoy ended by itself once, at ")
}

func rebootedAlone(f fault) {
	f.losesAtMostWhatIsInFlight(f.while(func() {
		f.hub.Kill()
		f.zone.Edges[0].Kill()
		f.Machines["rv2"].Reboot()
		f.Load().Send(f.Context(), 50).MustLoseNothing(f)
		f.Apps["rv2"].Start()
		f.Agents["rv2"].Start()
		f.uses("rv2")
		f.hubSilent()
		f.Agents["rv2"].Says("Envoy     live", "on disk", "ISM5001", "Check that an edge runs")
		f.zone.Edges[0].Start()
		f.Agents["rv2"].Says("Envoy     live", "All is well.")
		f.hubBack()
	}))
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
		f.w.Apply(large()) // more than the last page of a file has room for
		f.w.Says("zone dc1: StateNotSaved: edge dc1-edge1: ISM4002: ", "no space left on device", "Free space or repair the disk")
	}).MustLoseNothing(f)
	edge.MustRun()
	edge.Disk.Free()
	f.w.Programmed("shop", "httproute/reviews")
	f.w.Programmed("shop", "httproute/large")
	f.well()
}

// large is a route of many kilobytes that no request matches.
func large() string {
	return `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: large, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: reviews}]
  rules:
  - matches: [{headers: [{name: x-large, value: ` + strings.Repeat("a", 4000) + `}, {name: x-larger, value: ` + strings.Repeat("b", 4000) + `}]}]
    backendRefs: [{group: "", kind: Service, name: reviews, port: 9080}]
`
}

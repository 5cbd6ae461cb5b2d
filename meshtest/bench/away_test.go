package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/meshtest"
	"github.com/isthmus-mesh/isthmus/meshtest/swarm"
)

var (
	awayChanges = flag.Int("away-changes", 100, "changes of health measured")
	awayDelay   = flag.Duration("away-delay", 20*time.Millisecond, "round trip to the other zone")
)

// awayIntent has a service live in several zones, each of which is entered through a gateway.
const awayIntent = `{apiVersion: isthmus.dev/v1alpha1, kind: Workspace, metadata: {name: bench}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: bridge, namespace: bench}
spec:
  gatewayClassName: isthmus-east-west
  listeners: [{name: tls, port: 15443, protocol: TLS, tls: {mode: Passthrough}}]
`

// BenchmarkAway measures how soon callers of one zone know that a service's only workload in another one fell ill or is
// well again: from before its agent says so to its edge until a caller's proxy has the endpoints. The hub is beside the
// workload, and everything of the callers' zone a round trip away.
func BenchmarkAway(b *testing.B) {
	w := meshtest.New(b)
	here, away, other := w.Zone("dc1"), w.Zone("dc2"), w.Zone("dc3")
	w.Apply(awayIntent)
	enter(w, here)
	enter(w, other)
	hub, edge := w.Hub().Machine.Host, away.Edges[0].Machine.Host
	w.LAN.Delay(hub, edge, *awayDelay/2)
	w.LAN.Delay(edge, hub, *awayDelay/2)

	ctx, cancel := context.WithCancel(b.Context())
	group := new(errgroup.Group)
	b.Cleanup(func() { cancel(); _ = group.Wait() })
	f := newFlock(ctx, group)
	service, caller := simulate(b, ctx, w, here, "reviews"), simulate(b, ctx, w, away, "web")
	simulate(b, ctx, w, other, "reviews") // the last zone is not left out, ill or not
	f.proxies = append(f.proxies, caller)
	group.Go(func() error { return caller.Follow(ctx, &f.counters, f.seen) })
	_, err := f.settle()
	check(b, err)
	flip := func(healthy bool) float64 {
		done, before, began := f.arm(f.proxies, plan.NearHost(workspace, "reviews"), swarm.Endpoints), f.count(), time.Now()
		check(b, service.SetHealth(healthy))
		a, err := f.await(done, before)
		check(b, err)
		return float64(a.Last-began.UnixNano()) / 1e6
	}
	var delays []float64
	flip(false)
	flip(true)
	for n := range *awayChanges {
		delays = append(delays, flip(n%2 == 1))
	}
	b.Logf("round trip %v, p50 %.0f ms, p99 %.0f ms", *awayDelay, percentile(delays, 50), percentile(delays, 99))
	b.ReportMetric(percentile(delays, 50), "p50-ms")
	b.ReportMetric(percentile(delays, 99), "p99-ms")
}

// enter makes a zone's gateway, and returns its machine.
func enter(w *meshtest.World, zone *meshtest.Zone) *meshtest.Machine {
	m := w.Machine("bridge-" + zone.Name)
	m.Gateway(zone.GatewayToken(workspace, "bridge"))
	w.Kubectl("patch", "zone", zone.Name, "--type=merge", fmt.Sprintf(`--patch={"spec":{"eastWest":{"addresses":[%q]}}}`, m.IPv4))
	return m
}

// simulate has a proxy of the swarm attend on a machine of its own.
func simulate(b *testing.B, ctx context.Context, w *meshtest.World, zone *meshtest.Zone, service string) *swarm.Proxy {
	m := w.Machine(service + strings.TrimPrefix(zone.Name, "dc"))
	p, err := swarm.Join(ctx, zone.Token(workspace, service), m.IPv4.String(), grpc.WithContextDialer(func(ctx context.Context, to string) (net.Conn, error) {
		return m.DialContext(ctx, "tcp", to)
	}))
	check(b, err)
	check(b, p.Attend(ctx, net.JoinHostPort(zone.Edges[0].Machine.IPv4.String(), "15012"), 9080))
	b.Cleanup(func() { _ = p.Close() })
	return p
}

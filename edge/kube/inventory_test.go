package kube_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/isthmus-mesh/isthmus/edge/kube"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	. "github.com/isthmus-mesh/isthmus/meshtest"
	cluster "github.com/isthmus-mesh/isthmus/meshtest/kube"
)

const inventoryYAML = `
{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {topology.kubernetes.io/region: r1, topology.kubernetes.io/zone: z1}}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: NS, name: reviews}, spec: {ports: [
  {name: http-web, port: 80, targetPort: 9080}, {name: admin, port: 81}, {name: x, port: 82, appProtocol: grpc}, {name: dns, port: 53, protocol: UDP}]}}
---
{apiVersion: v1, kind: Pod, metadata: {namespace: NS, name: reviews-0, labels: {version: v1}}, spec: {nodeName: n1, serviceAccountName: sa, containers: [{name: istio-proxy, image: x, env: [{name: ISTIO_META_MESH_ID, value: m1}]}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {namespace: NS, name: reviews-1, labels: {kubernetes.io/service-name: reviews, endpointslice.kubernetes.io/managed-by: hand}}, addressType: IPv4,
  ports: [{name: http-web, port: 9080}, {name: admin, port: 81}, {name: x, port: 82}], endpoints: [{addresses: [10.1.0.1], conditions: {ready: READY}, targetRef: {kind: Pod, namespace: NS, name: reviews-0}}]}
`

func testInventory(t *testing.T, c *cluster.Cluster) {
	namespaced(c, "inv")
	z := newZone(t, c, "inv", func(config *kube.Config) { config.TrustDomain = "td" })
	z.SetClaims(map[string]string{"inv": "shop"})
	text := func(namespace, ready string) string { return replace(inventoryYAML, "NS", namespace, "READY", ready) }
	c.Apply(text("inv", "true"))
	want := &feedpb.Workload{
		Name: "reviews-0", Workspace: "shop", Service: "reviews", Version: "v1", Host: "n1", Healthy: true, Connected: true, Role: "sidecar",
		Identity: "spiffe://td/ns/inv/sa/sa",
		Labels:   map[string]string{"version": "v1", "topology.kubernetes.io/region": "r1", "topology.kubernetes.io/zone": "z1"},
		Ports:    []*feedpb.Port{{Port: 80, Protocol: "http", Target: 9080}, {Port: 81}, {Port: 82, Protocol: "grpc"}},
	}
	z.waitWorkloads(want)
	c.Apply(text("inv", "false"))
	want.Healthy, want.Reason = false, "the pod is not ready"
	z.waitWorkloads(want)
	z.waitFacts("its mesh", func(f *feedpb.Cluster) bool { return slices.Equal(f.MeshIds, []string{"m1"}) && f.Pods == 1 })
	namespaced(c, "inv2") // a pod of the same name
	c.Apply(text("inv2", "true"))
	z.SetClaims(map[string]string{"inv": "shop", "inv2": "shop2"})
	twin := proto.CloneOf(want)
	want.Name, twin.Name, twin.Workspace, twin.Healthy, twin.Reason, twin.Identity = "reviews-0.inv", "reviews-0.inv2", "shop2", true, "", "spiffe://td/ns/inv2/sa/sa"
	z.waitWorkloads(want, twin)
	if got, known := z.Cluster.Workloads(); len(got) != 2 || !known {
		t.Errorf("the inventory is %v, known: %t", got, known)
	}
	z.SetClaims(nil)
	z.waitWorkloads()
}

// waitWorkloads waits until exactly these are told.
func (z *zone) waitWorkloads(want ...*feedpb.Workload) {
	z.t.Helper()
	took := Eventually(z.t, "workloads", func() error {
		z.mu.Lock()
		defer z.mu.Unlock()
		got := slices.Collect(maps.Values(z.workloads))
		for _, w := range want {
			if !proto.Equal(z.workloads[w.Name], w) || len(got) != len(want) {
				return fmt.Errorf("got %v, want %v", got, want)
			}
		}
		if len(got) != len(want) {
			return fmt.Errorf("got %v", got)
		}
		return nil
	})
	z.t.Logf("told after %v", took)
}

// waitInventory waits until the zone's workloads are told whole, though there may be none.
func (z *zone) waitInventory() {
	z.t.Helper()
	Eventually(z.t, "the inventory is told", func() error {
		if workloads, known := z.Cluster.Workloads(); !known {
			return fmt.Errorf("only %v are known", workloads)
		}
		z.mu.Lock()
		defer z.mu.Unlock()
		if z.inventories != 1 {
			return fmt.Errorf("it was told %d times", z.inventories)
		}
		return nil
	})
}

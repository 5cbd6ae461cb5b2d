package kube_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	cluster "github.com/isthmus-mesh/isthmus/meshtest/kube"
)

const gatewaysYAML = `
{apiVersion: v1, kind: Service, metadata: {namespace: gw, name: balanced, labels: {istio: eastwestgateway}}, spec: {type: LoadBalancer, selector: {istio: eastwestgateway},
  externalIPs: [192.0.2.7], ports: [{name: status-port, port: 15021}, {name: tls, port: 443}, {name: other, port: 15443}]}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: gw, name: network, labels: {topology.istio.io/network: n1}}, spec: {selector: {app: gw}, externalIPs: ["2001:db8::1"], ports: [{name: tls, port: 443}],
  ipFamilyPolicy: SingleStack}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: gw, name: on-nodes, labels: {istio: eastwestgateway}}, spec: {type: NodePort, selector: {app: gw}, ports: [{name: tls, port: 15443, nodePort: 31443}]}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: gw, name: other-label, labels: {istio: ingressgateway}}, spec: {selector: {app: gw}, externalIPs: [192.0.2.9], ports: [{name: tls, port: 15443}]}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: gw, name: other-port, labels: {istio: eastwestgateway}}, spec: {selector: {app: gw}, externalIPs: [192.0.2.9], ports: [{name: https, port: 443}]}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: gw, name: no-pods, labels: {istio: eastwestgateway}}, spec: {externalIPs: [192.0.2.9], ports: [{name: tls, port: 15443}]}}
---
{apiVersion: v1, kind: Pod, metadata: {namespace: gw, name: gw-0, labels: {app: gw}}, spec: {nodeName: gw-2, containers: [{name: c, image: x}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {namespace: gw, name: on-nodes-1, labels: {kubernetes.io/service-name: on-nodes, endpointslice.kubernetes.io/managed-by: hand}}, addressType: IPv4,
  ports: [{name: tls, port: 15443}], endpoints: [{addresses: [10.1.0.1], conditions: {ready: true}, targetRef: {kind: Pod, namespace: gw, name: gw-0}}]}
`

// East-west gateways are told with the addresses that others reach them by, and what becomes of these.
func testGateways(t *testing.T, c *cluster.Cluster) {
	namespaced(c, "gw")
	c.Apply(gatewaysYAML)
	newNode(t, c, "gw-1", "True", `{"type": "Hostname", "address": "gw-1"}, {"type": "InternalIP", "address": "10.9.0.1"}, {"type": "ExternalIP", "address": "192.0.2.1"}`)
	newNode(t, c, "gw-2", "True", `{"type": "InternalIP", "address": "10.9.0.2"}`)
	newNode(t, c, "gw-3", "False", `{"type": "InternalIP", "address": "10.9.0.3"}`)
	t.Cleanup(func() {
		for _, name := range []string{"balanced", "network", "on-nodes", "other-label", "other-port", "no-pods"} {
			check(t, c.Core.CoreV1().Services("gw").Delete(context.Background(), name, metav1.DeleteOptions{}))
		}
	})
	z := newZone(t, c, "gw", restricted(t, c))
	z.SetClaims(nil) // gateways are found in namespaces that nobody claims
	balanced := &feedpb.ClusterGateway{Namespace: "gw", Name: "balanced", Port: 15443, Selector: map[string]string{"istio": "eastwestgateway"}}
	z.waitGateway("an address written into the Service", balanced, "192.0.2.7:15443")
	network := &feedpb.ClusterGateway{Namespace: "gw", Name: "network", Port: 443, Selector: map[string]string{"app": "gw"}}
	z.waitGateway("the port by its name", network, "[2001:db8::1]:443")
	nodes := &feedpb.ClusterGateway{Namespace: "gw", Name: "on-nodes", Port: 15443, Selector: map[string]string{"app": "gw"}}
	z.waitGateway("nodes that are ready", nodes, "10.9.0.2:31443", "192.0.2.1:31443")
	z.waitFacts("no others", func(f *feedpb.Cluster) bool { return len(f.Gateways) == 3 })

	balance(t, c, "balanced", `{"ip": "192.0.2.20"}, {"hostname": "lb.example.com"}`)
	z.waitGateway("those of a load balancer", balanced, "192.0.2.20:15443", "192.0.2.7:15443", "lb.example.com:15443")
	balance(t, c, "balanced", `{"ip": "192.0.2.21"}`)
	z.waitGateway("another one", balanced, "192.0.2.21:15443", "192.0.2.7:15443")
	c.Apply(`{apiVersion: v1, kind: Service, metadata: {namespace: gw, name: on-nodes, labels: {istio: eastwestgateway}}, spec: {type: NodePort, externalTrafficPolicy: Local, selector: {app: gw}, ports: [{name: tls, port: 15443, nodePort: 31443}]}}`)
	z.waitGateway("the node with its pod", nodes, "10.9.0.2:31443")
	check(t, c.Core.CoreV1().Nodes().Delete(t.Context(), "gw-2", metav1.DeleteOptions{}))
	z.waitGateway("no node", nodes)
	c.Apply(`{apiVersion: v1, kind: Service, metadata: {namespace: gw, name: on-nodes, labels: {istio: eastwestgateway}}, spec: {type: NodePort, externalTrafficPolicy: Cluster, selector: {app: gw}, ports: [{name: tls, port: 15443, nodePort: 31443}]}}`)
	z.waitGateway("any node", nodes, "192.0.2.1:31443")
	newNode(t, c, "gw-1", "Unknown", `{"type": "InternalIP", "address": "10.9.0.1"}`)
	z.waitGateway("all, where none is ready", nodes, "10.9.0.1:31443", "10.9.0.3:31443")
	z.SetClaims(map[string]string{"gw": "shop"})
	z.waitFacts("none in the namespace of a workspace", func(f *feedpb.Cluster) bool { return len(f.Gateways) == 0 })
	if told := z.told(); len(told) > 0 {
		t.Errorf("conditions %v", told)
	}
}

// newNode makes a node, or makes it another.
func newNode(t *testing.T, c *cluster.Cluster, name, ready, addresses string) {
	c.Apply("{apiVersion: v1, kind: Node, metadata: {name: " + name + "}}")
	patch := fmt.Sprintf(`{"status": {"addresses": [%s], "conditions": [{"type": "Ready", "status": %q}]}}`, addresses, ready)
	_, err := c.Core.CoreV1().Nodes().Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	check(t, err)
	t.Cleanup(func() { _ = c.Core.CoreV1().Nodes().Delete(context.Background(), name, metav1.DeleteOptions{}) }) // some are gone
}

// balance does what a cloud does.
func balance(t *testing.T, c *cluster.Cluster, service, ingress string) {
	_, err := c.Core.CoreV1().Services("gw").Patch(t.Context(), service, types.MergePatchType,
		[]byte(`{"status": {"loadBalancer": {"ingress": [`+ingress+`]}}}`), metav1.PatchOptions{}, "status")
	check(t, err)
}

func (z *zone) waitGateway(what string, want *feedpb.ClusterGateway, addresses ...string) {
	z.t.Helper()
	want.Addresses = addresses
	z.waitFacts(want.Name+" is told with "+what, func(f *feedpb.Cluster) bool {
		return slices.ContainsFunc(f.Gateways, func(g *feedpb.ClusterGateway) bool { return proto.Equal(g, want) })
	})
}

package kube

import (
	"cmp"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// East-west gateways are found by the labels and the port that Istio's own charts give their Services.
const (
	gatewayLabel, eastWestGateway = "istio", "eastwestgateway"
	networkLabel                  = "topology.istio.io/network"
	eastWestPort, eastWestName    = 15443, "tls"
)

// gateway is what a Service says of itself as an east-west gateway.
type gateway struct {
	port, nodePort uint32
	// hosts are reached at port, and nodes at nodePort.
	hosts []string
	// onNodes is whether nodes let in, onlyOwn whether only those do that have a pod of it.
	onNodes, onlyOwn bool
}

// readGateway returns nil for a Service that is none. One that picks no pods cannot be opened, and one that is being
// deleted is not to be used any more.
func readGateway(s *corev1.Service) *gateway {
	_, network := s.Labels[networkLabel]
	if s.Labels[gatewayLabel] != eastWestGateway && !network || len(s.Spec.Selector) == 0 || s.DeletionTimestamp != nil {
		return nil
	}
	port := portOf(s.Spec.Ports)
	if port == nil {
		return nil
	}
	g := &gateway{
		port: uint32(port.Port), nodePort: uint32(port.NodePort), hosts: slices.Clone(s.Spec.ExternalIPs),
		onNodes: s.Spec.Type == corev1.ServiceTypeNodePort, onlyOwn: s.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal,
	}
	for _, ingress := range s.Status.LoadBalancer.Ingress {
		g.hosts = append(g.hosts, cmp.Or(ingress.IP, ingress.Hostname))
	}
	return g
}

// portOf is the port for other zones: nil if there is none. The number goes before the name.
func portOf(ports []corev1.ServicePort) *corev1.ServicePort {
	for _, is := range []func(corev1.ServicePort) bool{
		func(p corev1.ServicePort) bool { return p.Port == eastWestPort },
		func(p corev1.ServicePort) bool { return p.Name == eastWestName },
	} {
		if i := slices.IndexFunc(ports, is); i >= 0 {
			return &ports[i]
		}
	}
	return nil
}

// gateway is a Service by which other zones enter. Caller holds mu.
func (i *inventory) gateway(key string, s *service) *feedpb.ClusterGateway {
	namespace, name, _ := strings.Cut(key, "/")
	var addresses []string
	for _, host := range s.gateway.hosts {
		addresses = append(addresses, hostPort(host, s.gateway.port))
	}
	if s.gateway.onNodes {
		addresses = append(addresses, i.nodeAddresses(key, s.gateway)...)
	}
	slices.Sort(addresses)
	return &feedpb.ClusterGateway{Namespace: namespace, Name: name, Port: s.gateway.port, Selector: s.selector, Addresses: slices.Compact(addresses)}
}

// manyNodes are enough to enter by; it is as many addresses as a zone may have that are written by hand.
const manyNodes = 16

// nodeAddresses are those of the first nodes that let in. Of nodes that are not ready none is told, unless all are: then
// it is more likely that nobody hears of them. Caller holds mu.
func (i *inventory) nodeAddresses(service string, g *gateway) (addresses []string) {
	nodes := i.nodes.all()
	maps.DeleteFunc(nodes, func(name string, n *node) bool { return n.address == "" || g.onlyOwn && !i.runsOn(name, service) })
	ready := maps.Clone(nodes)
	maps.DeleteFunc(ready, func(_ string, n *node) bool { return !n.ready })
	if len(ready) > 0 {
		nodes = ready
	}
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		if len(addresses) < manyNodes {
			addresses = append(addresses, hostPort(nodes[name].address, g.nodePort))
		}
	}
	return addresses
}

// runsOn is whether a healthy pod of a service is on a node. Caller holds mu.
func (i *inventory) runsOn(node, service string) bool {
	for _, name := range i.slicesOf[service] {
		if s := i.slices.get(name); s != nil {
			for key, e := range s.endpoints {
				if p := i.pods.get(key); e.healthy && p != nil && p.node == node {
					return true
				}
			}
		}
	}
	return false
}

func hostPort(host string, port uint32) string {
	return net.JoinHostPort(host, strconv.FormatUint(uint64(port), 10))
}

// nodeAddress is how a node is reached from outside of the cluster, or at least of the node.
func nodeAddress(addresses []corev1.NodeAddress) string {
	for _, kind := range []corev1.NodeAddressType{corev1.NodeExternalIP, corev1.NodeInternalIP} {
		for _, a := range addresses {
			if a.Type == kind {
				return a.Address
			}
		}
	}
	return ""
}

func isNodeReady(conditions []corev1.NodeCondition) bool {
	return slices.ContainsFunc(conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

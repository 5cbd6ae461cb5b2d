package kube

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// withTwins notes which of the pods are workloads, and adds those of the same name elsewhere: their own
// names depend on it. Caller holds mu.
func (i *inventory) withTwins(pods []string) []string {
	all := map[string]struct{}{}
	for _, key := range pods {
		all[key] = struct{}{}
		namespace, name, _ := strings.Cut(key, "/")
		was, is := i.named.has(name, namespace), i.isWorkload(key)
		if was == is {
			continue
		}
		if is {
			i.named.add(name, namespace)
		} else {
			i.named.drop(name, namespace)
		}
		for _, twin := range i.named[name] {
			all[twin+"/"+name] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// isWorkload is whether a pod is behind a service and in a claimed namespace.
func (i *inventory) isWorkload(key string) bool {
	namespace, _, _ := strings.Cut(key, "/")
	return i.claims[namespace] != "" && i.pods.get(key) != nil && len(i.servicesOf(key)) > 0
}

// servicesOf are the services that a pod is behind, sorted.
func (i *inventory) servicesOf(pod string) []string {
	found := map[string]struct{}{}
	for _, name := range i.slicesWith[pod] {
		if s := i.slices.get(name); s != nil && i.services.get(s.service) != nil {
			found[s.service] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// workloadsOf are what a pod is: a workload of each service it is behind. Caller holds mu.
func (i *inventory) workloadsOf(key string) []*feedpb.Workload {
	if !i.isWorkload(key) {
		return nil
	}
	p := i.pods.get(key)
	var all []*feedpb.Workload
	for n, name := range i.servicesOf(key) {
		w := i.workload(p, name)
		if n > 0 {
			w.Name += "." + w.Service
		}
		if len(i.named[p.name]) > 1 {
			w.Name += "." + p.namespace
		}
		all = append(all, w)
	}
	return all
}

// workload is a pod as one of a service's.
func (i *inventory) workload(p *pod, name string) *feedpb.Workload {
	s := i.services.get(name)
	if s == nil {
		s = &service{} // gone this moment; the next call is about that
	}
	w := &feedpb.Workload{
		Name: p.name, Workspace: i.claims[p.namespace], Service: strings.TrimPrefix(name, p.namespace+"/"), Host: p.node, Addresses: p.addresses,
		Version: cmp.Or(p.labels["version"], p.labels["app.kubernetes.io/version"]),
		Labels:  i.labelled(p), Connected: true, Role: roleOf(p.labels), Identity: i.identity(p), Selector: s.selector,
	}
	targets := map[string]uint32{}
	for _, key := range i.slicesWith[p.key()] {
		if slice := i.slices.get(key); slice != nil && slice.service == name {
			w.Healthy, w.Reason = slice.endpoints[p.key()].over(w.Healthy, w.Reason)
			maps.Copy(targets, slice.ports)
		}
	}
	w.Ports = portsOf(s.ports, targets)
	return w
}

// over is the health of a pod that other endpoints, those of its other family of addresses, speak for too.
func (e endpoint) over(healthy bool, reason string) (bool, string) {
	if healthy {
		return healthy, reason
	}
	return e.healthy, e.reason
}

// identity is what the pod's proxy proves.
func (i *inventory) identity(p *pod) string {
	if i.trustDomain == "" || p.account == "" {
		return ""
	}
	return "spiffe://" + i.trustDomain + "/ns/" + p.namespace + "/sa/" + p.account
}

// portsOf are a service's ports that a pod serves. The numbers are the service's.
func portsOf(all map[string]servicePort, targets map[string]uint32) []*feedpb.Port {
	var ports []*feedpb.Port
	for name, p := range all {
		target, served := targets[name]
		if !served {
			continue
		}
		if target == p.number {
			target = 0
		}
		ports = append(ports, &feedpb.Port{Port: p.number, Protocol: p.protocol, Target: target})
	}
	slices.SortFunc(ports, func(a, b *feedpb.Port) int { return cmp.Compare(a.Port, b.Port) })
	return ports
}

// labelled are a pod's labels with the place of its node, which older clusters do not copy.
func (i *inventory) labelled(p *pod) map[string]string {
	n := i.nodes.get(p.node)
	if n == nil || p.labels[corev1.LabelTopologyRegion] != "" || n.region+n.zone == "" {
		return p.labels
	}
	labels := maps.Clone(p.labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[corev1.LabelTopologyRegion], labels[corev1.LabelTopologyZone] = n.region, n.zone
	return labels
}

// roleOf tells gateways by the label that Istio's own charts give them.
func roleOf(labels map[string]string) string {
	if strings.HasSuffix(labels["istio"], "gateway") {
		return "gateway"
	}
	return "sidecar"
}

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
		_, was := i.named[name][namespace]
		is := i.isWorkload(key)
		if was == is {
			continue
		}
		if is {
			i.named.add(name, namespace)
		} else {
			i.named.drop(name, namespace)
		}
		for twin := range i.named[name] {
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
	for name := range i.slicesWith[pod] {
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
	for n, service := range i.servicesOf(key) {
		w := i.workload(p, service)
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
func (i *inventory) workload(p *pod, service string) *feedpb.Workload {
	_, name, _ := strings.Cut(service, "/")
	w := &feedpb.Workload{
		Name: p.name, Workspace: i.claims[p.namespace], Service: name, Host: p.node, Addresses: p.addresses,
		Version: cmp.Or(p.labels["version"], p.labels["app.kubernetes.io/version"]),
		Labels:  i.labelled(p), Connected: true, Role: roleOf(p),
	}
	ports := map[string]bool{}
	for name := range i.slicesWith[p.namespace+"/"+p.name] {
		s := i.slices.get(name)
		if s == nil || s.service != service {
			continue
		}
		e := s.endpoints[p.namespace+"/"+p.name]
		if e.healthy || !w.Healthy {
			w.Healthy, w.Reason = e.healthy, e.reason
		}
		if len(p.addresses) == 0 {
			w.Addresses = append(w.Addresses, e.addresses...)
		}
		for _, port := range s.ports {
			ports[port] = true
		}
	}
	w.Ports = portsOf(i.services.get(service).ports, ports)
	return w
}

// portsOf are a service's ports that a pod serves. The numbers are the service's.
func portsOf(all map[string]servicePort, served map[string]bool) []*feedpb.Port {
	var ports []*feedpb.Port
	for name, p := range all {
		if served[name] {
			ports = append(ports, &feedpb.Port{Port: p.number, Protocol: p.protocol})
		}
	}
	slices.SortFunc(ports, func(a, b *feedpb.Port) int { return cmp.Compare(a.Port, b.Port) })
	return ports
}

// labelled are a pod's labels with the place of its node, which older clusters do not copy.
func (i *inventory) labelled(p *pod) map[string]string {
	n := i.nodes.get(p.node)
	if n == nil || p.labels[corev1.LabelTopologyRegion] != "" || *n == (node{}) {
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
func roleOf(p *pod) string {
	if strings.HasSuffix(p.labels["istio"], "gateway") {
		return "gateway"
	}
	return "sidecar"
}

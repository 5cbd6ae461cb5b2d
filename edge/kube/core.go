package kube

import (
	"unique"

	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// What the inventory needs of Kubernetes' own objects.

type service struct {
	ports    map[string]servicePort // by name
	selector map[string]string
	gateway  *gateway // nil unless it is one for other zones
}

type servicePort struct {
	number   uint32
	protocol string
}

func readService(object any) service {
	spec := object.(*corev1.Service).Spec
	s := service{ports: map[string]servicePort{}, selector: spec.Selector, gateway: readGateway(object.(*corev1.Service))}
	for _, p := range spec.Ports {
		if p.Protocol == corev1.ProtocolTCP || p.Protocol == "" { // the mesh carries nothing else
			s.ports[p.Name] = servicePort{uint32(p.Port), protocolOf(p)}
		}
	}
	return s
}

type slice struct {
	service   string              // "namespace/name"; empty for none
	ports     map[string]uint32   // the pods' own, by name
	endpoints map[string]endpoint // by pod, "namespace/name"
}

type endpoint struct {
	healthy bool
	reason  string
}

func readSlice(object any) slice {
	s := object.(*discoveryv1.EndpointSlice)
	out := slice{ports: map[string]uint32{}, endpoints: make(map[string]endpoint, len(s.Endpoints))}
	if name := s.Labels[discoveryv1.LabelServiceName]; name != "" {
		out.service = s.Namespace + "/" + name
	}
	for _, p := range s.Ports {
		if p.Name != nil && p.Port != nil {
			out.ports[*p.Name] = uint32(*p.Port)
		}
	}
	for _, e := range s.Endpoints {
		if e.TargetRef != nil && e.TargetRef.Kind == "Pod" {
			out.endpoints[s.Namespace+"/"+e.TargetRef.Name] = readEndpoint(e)
		}
	}
	return out
}

func readEndpoint(e discoveryv1.Endpoint) endpoint {
	out := endpoint{healthy: e.Conditions.Ready == nil || *e.Conditions.Ready}
	switch {
	case out.healthy:
	case e.Conditions.Terminating != nil && *e.Conditions.Terminating:
		out.reason = "the pod is being deleted"
	default:
		out.reason = "the pod is not ready"
	}
	return out
}

type pod struct {
	namespace, name, node, account string
	addresses                      []string
	labels                         map[string]string
	// meshID and trustDomain are Istio's, as its proxy in the pod was told; istiod the version of Istio, if the pod is
	// one of istiod.
	meshID, trustDomain, istiod string
	// proxied is whether there is a proxy in it, ready whether the pod is, ended whether it will never run again.
	proxied, ready, ended bool
}

func (p *pod) key() string { return p.namespace + "/" + p.name }

func readPod(object any) pod {
	p := object.(*corev1.Pod)
	out := pod{
		namespace: shared(p.Namespace), name: p.Name, node: shared(p.Spec.NodeName), account: shared(p.Spec.ServiceAccountName), labels: sharedAll(p.Labels),
		meshID: shared(proxyTold(p, meshIDVariable)), trustDomain: shared(proxyTold(p, trustDomainVariable)), istiod: istiodVersion(p),
		proxied: hasProxy(p), ready: isReady(p), ended: p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed,
	}
	for _, address := range p.Status.PodIPs {
		out.addresses = append(out.addresses, address.IP)
	}
	if len(out.addresses) == 0 && p.Status.PodIP != "" {
		out.addresses = []string{p.Status.PodIP}
	}
	return out
}

func isReady(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// shared is a text that many objects have, once.
func shared(text string) string { return unique.Make(text).Value() }

// sharedAll are labels: pods of one owner have the same.
func sharedAll(labels map[string]string) map[string]string {
	all := make(map[string]string, len(labels))
	for name, value := range labels {
		all[shared(name)] = shared(value)
	}
	return all
}

// node is the place of a node, and how others reach it.
type node struct {
	region, zone, address string
	ready                 bool
}

func readNode(object any) node {
	n := object.(*corev1.Node)
	return node{n.Labels[corev1.LabelTopologyRegion], n.Labels[corev1.LabelTopologyZone], nodeAddress(n.Status.Addresses), isNodeReady(n.Status.Conditions)}
}

func readNamespace(object any) namespace {
	return namespace{terminating: object.(*corev1.Namespace).DeletionTimestamp != nil}
}

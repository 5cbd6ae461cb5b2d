package kube

import (
	"cmp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
)

// workloadsOf are the pods behind a service, by name.
func (i *inventory) workloadsOf(service *corev1.Service, workspace string) map[string]*feedpb.Workload {
	all := map[string]*feedpb.Workload{}
	of := labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service.Name})
	found, err := i.slices.EndpointSlices(service.Namespace).List(of)
	if err != nil {
		return all // a lister of a cache has no errors
	}
	for _, slice := range found {
		for _, endpoint := range slice.Endpoints {
			if endpoint.TargetRef == nil || endpoint.TargetRef.Kind != "Pod" || len(endpoint.Addresses) == 0 {
				continue
			}
			pod, err := i.pods.Pods(service.Namespace).Get(endpoint.TargetRef.Name)
			if err != nil {
				continue // it comes, or has just gone: either is an event
			}
			w := i.workload(service, slice, endpoint, pod)
			w.Workspace = workspace
			if known := all[w.Name]; known != nil { // its other family of addresses
				known.Addresses = append(known.Addresses, w.Addresses...)
				continue
			}
			all[w.Name] = w
		}
	}
	return all
}

func (i *inventory) workload(service *corev1.Service, slice *discoveryv1.EndpointSlice, endpoint discoveryv1.Endpoint, pod *corev1.Pod) *feedpb.Workload {
	w := &feedpb.Workload{
		Name:    pod.Name + "." + service.Name + "." + pod.Namespace,
		Service: service.Name, Version: versionOf(pod), Host: pod.Spec.NodeName,
		Addresses: endpoint.Addresses, Ports: portsOf(service, slice), Labels: pod.Labels,
		Healthy: endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready, Connected: true, Role: "sidecar",
		Identity: i.identityOf(pod), Selector: service.Spec.Selector,
	}
	if !w.Healthy {
		w.Reason = "the pod is not ready"
	}
	return w
}

// versionOf is the version of a pod, by Istio's label or the one that Kubernetes recommends.
func versionOf(pod *corev1.Pod) string {
	return cmp.Or(pod.Labels["version"], pod.Labels["app.kubernetes.io/version"])
}

// identityOf is the identity that istiod gives the pod.
func (i *inventory) identityOf(pod *corev1.Pod) string {
	return identity.Workload(i.config.TrustDomain, pod.Namespace, cmp.Or(pod.Spec.ServiceAccountName, "default")).String()
}

// portsOf are the ports of a service and, from one of its slices, where pods listen.
func portsOf(service *corev1.Service, slice *discoveryv1.EndpointSlice) []*feedpb.Port {
	var all []*feedpb.Port
	for _, port := range service.Spec.Ports {
		if port.Protocol != corev1.ProtocolTCP && port.Protocol != "" {
			continue
		}
		p := &feedpb.Port{Port: uint32(port.Port), Protocol: protocolOf(port)}
		for _, target := range slice.Ports {
			if target.Name != nil && *target.Name == port.Name && target.Port != nil {
				p.Target = uint32(*target.Port)
			}
		}
		all = append(all, p)
	}
	return all
}

// protocols are the names that Istio and Kubernetes have for ours.
var protocols = map[string]string{
	"http": "http", "http2": "http2", "kubernetes.io/h2c": "http2", "grpc": "grpc", "grpc-web": "grpc",
	"tcp": "tcp", "mongo": "tcp", "mysql": "tcp", "redis": "tcp", "tls": "tls", "https": "tls",
}

// protocolOf is the protocol of a port as Istio selects it: appProtocol, else the first part of its name.
// Empty means that nobody says.
//
// https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/
func protocolOf(port corev1.ServicePort) string {
	if port.AppProtocol != nil {
		return protocols[strings.ToLower(*port.AppProtocol)]
	}
	name, _, _ := strings.Cut(strings.ToLower(port.Name), "-")
	return protocols[name]
}

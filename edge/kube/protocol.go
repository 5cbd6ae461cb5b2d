package kube

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// protocols are the feed's, by the words of Kubernetes and Istio.
var protocols = map[string]string{
	"http": "http", "http2": "http2", "grpc": "grpc", "tcp": "tcp", "tls": "tls",
	"https": "tls", "grpc-web": "http", "mongo": "tcp", "mysql": "tcp", "redis": "tcp",
	"kubernetes.io/h2c": "http2", "kubernetes.io/ws": "http", "kubernetes.io/wss": "tls",
}

// protocolOf is what a port says of itself: by appProtocol, or by its name as Istio reads it, "http-web".
// Empty if it says nothing.
func protocolOf(p corev1.ServicePort) string {
	if p.AppProtocol != nil && *p.AppProtocol != "" {
		return protocols[strings.ToLower(*p.AppProtocol)]
	}
	name := strings.ToLower(p.Name)
	if protocol, ok := protocols[name]; ok {
		return protocol
	}
	if strings.HasPrefix(name, "grpc-web-") {
		return protocols["grpc-web"]
	}
	prefix, _, _ := strings.Cut(name, "-")
	return protocols[prefix]
}

// Package kube runs real Kubernetes clusters for tests, without a container runtime: etcd, kube-apiserver and
// kube-controller-manager of upstream, Istio's stock istiod, and a kubelet that is a fake in one respect only: a
// pod is a machine of package meshtest, in which the container's command runs beside Istio's own agent and Envoy.
//
// [Start] makes the bare cluster on a loopback address of its own. [On] makes one on a machine of a world, with
// everything in it. Both end with the test: API server first, etcd last.
package kube

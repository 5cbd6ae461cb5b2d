// Package kube runs real Kubernetes clusters for tests, without a container runtime: etcd, kube-apiserver and
// kube-controller-manager of upstream, Istio's stock istiod, and a kubelet that is a fake in one respect only: a
// pod is a machine of package meshtest, in which the container's command runs beside Istio's own agent and Envoy.
//
//	w := meshtest.New(t)
//	east := kube.NewZone(w, "east", kube.Istio{})
//	east.Serve("shop", "reviews", "v1")                      // or Apply, of any Deployment
//	east.Serve("shop", "web", "v1", "--reviews=http://reviews:9080")
//	web := east.WaitPod("shop", "app=web")
//	web.Ask(100, "http://reviews:9080/").MustLoseNothing(t)
//
// [Start] makes a bare cluster on a loopback address of its own, without root. [On] makes one on a machine of a world,
// [NewZone] one with everything in it. All end with the test: pods and istiod, the API server, and etcd last.
package kube

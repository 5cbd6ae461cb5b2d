package kube_test

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

const store = `apiVersion: v1
kind: Node
metadata: {name: node-1}
---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: reviews}
spec:
  selector: {app: reviews}
  ports: [{name: http-web, port: 9080, targetPort: 8080}, {name: odd, port: 9999, targetPort: 9999}]
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: reviews-1, labels: {app: reviews, version: v2}}
spec:
  nodeName: node-1
  serviceAccountName: books
  containers: [{name: app, image: none}]
`

const podReady = `{"status":{"phase":"Running","podIP":"10.1.2.3","podIPs":[{"ip":"10.1.2.3"}],"conditions":[{"type":"Ready","status":"True"}]}}`

// TestInventory makes a pod ready and unready as a kubelet does; the rest is done by Kubernetes' controllers.
func TestInventory(t *testing.T) {
	w := newWorld(t)
	w.cluster.SetClaims([]*feedpb.Claim{{Namespace: "shop", Workspace: "books"}})
	w.server.Apply(store)
	status := func(patch string) {
		t.Helper()
		if _, err := w.server.Core.CoreV1().Pods("shop").Patch(t.Context(), "reviews-1", "application/strategic-merge-patch+json", []byte(patch), metav1.PatchOptions{}, "status"); err != nil {
			t.Fatal(err)
		}
	}
	const name = "reviews-1.reviews.shop"
	status(podReady)
	w.eventually("the pod is a healthy workload", func() bool { return w.workloads[name] != nil && w.workloads[name].Healthy })
	got := w.workloads[name]
	if got.Workspace != "books" || got.Service != "reviews" || got.Version != "v2" || got.Host != "node-1" || !slices.Equal(got.Addresses, []string{"10.1.2.3"}) ||
		got.Identity != "spiffe://isthmus.local/ns/shop/sa/books" || got.Selector["app"] != "reviews" {
		t.Errorf("the workload is %v", got)
	}
	if len(got.Ports) != 2 || got.Ports[0].Protocol != "http" || got.Ports[0].Target != 8080 || got.Ports[1].Protocol != "" {
		t.Errorf("its ports are %v", got.Ports)
	}
	status(`{"status":{"conditions":[{"type":"Ready","status":"False"}]}}`)
	w.eventually("the pod is ill", func() bool { return w.workloads[name] != nil && !w.workloads[name].Healthy })
	w.cluster.SetClaims(nil)
	w.eventually("nobody claims it", func() bool { return len(w.workloads) == 0 })
	w.cluster.SetClaims([]*feedpb.Claim{{Namespace: "shop", Workspace: "books"}})
	w.eventually("it is claimed again", func() bool { return len(w.workloads) == 1 })
	if err := w.server.Core.CoreV1().Services("shop").Delete(t.Context(), "reviews", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.eventually("it is no service any more", func() bool { return len(w.workloads) == 0 })
}

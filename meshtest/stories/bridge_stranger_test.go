package stories_test

import "testing"

const payIntent = `apiVersion: isthmus.dev/v1alpha1
kind: Workspace
metadata: {name: pay}
spec: {zones: [prod-1/till]}
---
apiVersion: isthmus.dev/v1alpha1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {exposure: all}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: reviews, namespace: pay}
spec:
  parentRefs: [{group: "", kind: Service, name: reviews, namespace: shop}]
  rules:
  - backendRefs: [{group: isthmus.dev, kind: Subset, name: reviews-dc1, namespace: shop, port: 9080}]
`

// otherWorkspace has pods of another workspace in the cluster call reviews by a route of that workspace.
func (b *bridge) otherWorkspace(t *testing.T) {
	b.prod.Serve("till", "web", "prod-1")
	web := b.prod.WaitPod("till", "app=web").Machine
	const url = "http://reviews.store.svc.cluster.local:9080/"
	eventuallyAll(t, web, url, "reviews", "prod-1")
	b.mesh.Apply(payIntent)
	eventuallyAll(t, web, url, "reviews", "dc1")
	eventuallyAll(t, b.web2.Machine, reviewsURL, "reviews", "prod-1")
	b.mesh.Kubectl("delete", "httproute", "reviews", "--namespace=pay")
	eventuallyAll(t, web, url, "reviews", "prod-1")
}

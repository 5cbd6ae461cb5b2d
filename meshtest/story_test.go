package meshtest

import (
	"net/http"
	"strings"
	"testing"
)

// story is the shop, with what a test applies taken back at its end.
type story struct {
	*testing.T
	*Shop
}

// with applies objects until the end of the test, and waits until proxies run them.
func (s story) with(yaml string, objects ...string) {
	s.Helper()
	for line := range strings.Lines(s.w.Apply(yaml)) {
		if object, created := strings.CutSuffix(strings.TrimSpace(line), " created"); created {
			s.Cleanup(func() { s.w.Kubectl("delete", "--namespace=shop", object) })
		}
	}
	s.Cleanup(func() { s.w.Apply(s.Example("shop")) })
	for _, object := range objects {
		s.w.Programmed("shop", object)
	}
}

func (s story) send(n int, header ...string) *Tally {
	load := s.Load()
	load.Header = http.Header{}
	for i := 0; i < len(header); i += 2 {
		load.Header.Set(header[i], header[i+1])
	}
	return load.Send(s.Context(), n)
}

// allReviewsTo sends every request for reviews to one version.
func allReviewsTo(version string) string {
	return `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: reviews, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: reviews}]
  rules:
  - backendRefs: [{group: isthmus.dev, kind: Subset, name: reviews-` + version + `, port: 9080}]
`
}

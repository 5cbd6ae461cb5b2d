package meshtest

import (
	"strings"
	"testing"
)

const route = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: reviews, namespace: shop}
spec:
  parentRefs: [{group: isthmus.dev, kind: Service, name: reviews}]
  rules:
  - backendRefs: [{group: isthmus.dev, kind: Service, name: reviews, port: 9080, weight: 1}]
`

// Upstream's kubectl, unchanged, does with the hub what it does with any Kubernetes API.
func TestKubectlAgainstTheHub(t *testing.T) {
	w := New(t)
	w.Hub()
	w.Workspace("shop")
	Eventually(t, "the workspace has its namespace", func() error {
		_, err := w.TryKubectl("get", "namespace", "shop")
		return err
	})
	desk := w.Desk()
	first := desk.WriteFile("route.yaml", route)
	changed := desk.WriteFile("changed.yaml", strings.Replace(route, "weight: 1", "weight: 7", 1))
	wrong := desk.WriteFile("wrong.yaml", strings.Replace(route, "weight: 1", "wieght: 1", 1))
	certificate, private := Certificate(t, "shop.example.com")
	cert, key := desk.WriteFile("tls.crt", string(certificate)), desk.WriteFile("tls.key", string(private))

	for _, step := range []struct {
		name  string
		argv  []string
		fails bool
		has   string
	}{
		{"a dry run changes nothing", []string{"apply", "--dry-run=server", "-f", first}, false, "created (server dry run)"},
		{"so it is not there", []string{"get", "httproute/reviews", "-n", "shop"}, true, "not found"},
		{"apply", []string{"apply", "--server-side", "-f", first}, false, "serverside-applied"},
		{"get by short name and category", []string{"get", "ws,httproutes", "-A"}, false, "reviews"},
		{"diff shows the field", []string{"diff", "--server-side", "-f", changed}, true, "+      weight: 7"},
		{"a wrong field is refused with its path", []string{"apply", "-f", wrong}, true, `unknown field "spec.rules[0].backendRefs[0].wieght"`},
		{"apply a change", []string{"apply", "--server-side", "-f", changed}, false, "serverside-applied"},
		{"the change is there", []string{"get", "httproute/reviews", "-n", "shop", "-o", "jsonpath={.spec.rules[0].backendRefs[0].weight}"}, false, "7"},
		{"explain a Gateway API kind", []string{"explain", "httproute.spec.rules"}, false, "FIELDS:"},
		{"explain a kind of ours", []string{"explain", "trafficpolicy.spec"}, false, "targetRefs"},
		{"create secret tls", []string{"create", "secret", "tls", "shop-cert", "-n", "shop", "--cert=" + cert, "--key=" + key}, false, "created"},
		{"wait for a deletion", []string{"delete", "httproute/reviews", "-n", "shop", "--wait"}, false, "deleted"},
		{"it is gone", []string{"get", "httproute/reviews", "-n", "shop"}, true, "not found"},
		{"wait for a condition", []string{"wait", "--for=condition=Accepted", "workspace/shop", "--timeout=20s"}, false, "condition met"},
		{"version", []string{"version"}, false, "Server Version: v1.36.1"},
	} {
		out, err := w.TryKubectl(step.argv...)
		if err != nil {
			out += err.Error()
		}
		if (err != nil) != step.fails || !strings.Contains(out, step.has) {
			t.Errorf("%s: kubectl %s\nfailed is %v, want %v with %q in\n%s", step.name, strings.Join(step.argv, " "), err != nil, step.fails, step.has, out)
		}
	}
	watchSeesAChange(t, w, first)
}

func watchSeesAChange(t *testing.T, w *World, route string) {
	watch := w.Desk().Start("kubectl-watch", func() []string {
		return []string{"kubectl", "get", "httproutes", "-n", "shop", "-w", "--output-watch-events"}
	})
	w.Kubectl("apply", "-f", route)
	Eventually(t, "the watch shows what was added", logContains(watch, "ADDED", "reviews"))
	w.Kubectl("delete", "-f", route)
	Eventually(t, "the watch shows what was deleted", logContains(watch, "DELETED", "reviews"))
	watch.Kill()
}

package stories_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// TestKubectl has upstream's kubectl, unchanged, do with the hub what it does with any Kubernetes API.
func TestKubectl(t *testing.T) {
	mesh := meshtest.New(t)
	mesh.Workspace("shop")
	mesh.Kubectl("wait", "--for=condition=Accepted", "workspace/shop", "--timeout=20s")
	desk := mesh.Desk()
	first := desk.WriteFile("first.yaml", weighted("weight: 1"))
	second := desk.WriteFile("second.yaml", weighted("weight: 7"))
	wrong := desk.WriteFile("wrong.yaml", weighted("wieght: 1"))
	tooMuch := desk.WriteFile("policy.yaml", policy("reviews", "  retries: {attempts: 99}"))
	crossed := desk.WriteFile("crossed.yaml", policy("reviews", "  loadBalancing: {policy: RoundRobin, consistentHash: {header: x-user}}"))
	service := desk.WriteFile("service.yaml", "apiVersion: isthmus.dev/v1alpha1\nkind: Service\nmetadata: {name: reviews, namespace: shop}\nspec: {ports: [{port: 9080, protocol: http}]}\n")
	istio, misspelt := desk.WriteFile("istio.yaml", calm("action")), desk.WriteFile("misspelt.yaml", calm("akshun"))
	cert, key := certificateFiles(t, desk)
	weight := []string{"get", "httproute/reviews", "-n", "shop", "--output=jsonpath={.spec.rules[0].backendRefs[0].weight}"}

	for _, step := range []struct {
		what  string
		argv  []string
		fails bool
		says  string
	}{
		{"a dry run is answered", []string{"apply", "--dry-run=server", "-f", first}, false, "created (server dry run)"},
		{"and changes nothing", []string{"get", "httproute/reviews", "-n", "shop"}, true, "NotFound"},
		{"apply", []string{"apply", "-f", first}, false, "httproute.gateway.networking.k8s.io/reviews created"},
		{"apply what a route refers to", []string{"apply", "-f", service}, false, "service.isthmus.dev/reviews created"},
		{"apply again", []string{"apply", "-f", service}, false, "unchanged"},
		{"diff finds nothing", []string{"diff", "-f", first}, false, ""},
		{"diff finds the field", []string{"diff", "-f", second}, true, "+      weight: 7"},
		{"which is as it was", weight, false, "1"},
		{"apply by the server", []string{"apply", "--server-side", "--force-conflicts", "-f", second}, false, "serverside-applied"},
		{"the field is changed", weight, false, "7"},
		{"a wrong field is refused with its path", []string{"apply", "-f", wrong}, true, `unknown field "spec.rules[0].backendRefs[0].wieght"`},
		{"by the server too", []string{"apply", "--server-side", "-f", wrong}, true, "spec.rules[0].backendRefs[0].wieght"},
		{"a wrong value is refused with its path", []string{"apply", "-f", tooMuch}, true, "spec.retries.attempts: Invalid value"},
		{"a contradiction is refused with its rule", []string{"apply", "-f", crossed}, true, "consistentHash goes with policy ConsistentHash"},
		{"patch", []string{"patch", "httproute/reviews", "-n", "shop", "--type=json", `--patch=[{"op":"replace","path":"/spec/rules/0/backendRefs/0/weight","value":3}]`}, false, "patched"},
		{"the field is patched", weight, false, "3"},
		{"get by category", []string{"get", "isthmus", "-A"}, false, "workspace.isthmus.dev/shop"},
		{"get by short name", []string{"get", "ws"}, false, "shop"},
		{"explain a kind of the Gateway API", []string{"explain", "httproute.spec.rules.backendRefs.weight"}, false, "<integer>"},
		{"explain a kind of ours", []string{"explain", "trafficpolicy.spec.retries"}, false, "perTryTimeout"},
		{"explain a kind of Istio", []string{"explain", "virtualservice.spec.http.route.destination.subset"}, false, "<string>"},
		{"apply a kind of Istio", []string{"apply", "-f", istio}, false, "authorizationpolicy.security.istio.io/calm created"},
		{"a wrong field of it is refused with its path", []string{"apply", "-f", misspelt}, true, `unknown field "spec.akshun"`},
		{"wait for a condition", []string{"wait", "--for=condition=Accepted", "httproute/reviews", "-n", "shop", "--timeout=20s"}, false, "condition met"},
		{"a wait in vain ends", []string{"wait", "--for=condition=Nonsense", "httproute/reviews", "-n", "shop", "--timeout=1s"}, true, "timed out"},
		{"create secret tls", []string{"create", "secret", "tls", "shop-cert", "-n", "shop", "--cert=" + cert, "--key=" + key}, false, "secret/shop-cert created"},
		{"which has its type", []string{"get", "secret/shop-cert", "-n", "shop", "--output=jsonpath={.type}"}, false, "kubernetes.io/tls"},
		{"a key of another certificate is refused", []string{"create", "secret", "tls", "bad", "-n", "shop", "--cert=" + cert, "--key=" + cert}, true, "tls"},
		{"label", []string{"label", "httproute/reviews", "-n", "shop", "team=reviews"}, false, "labeled"},
		{"get by label", []string{"get", "httproutes", "-A", "-l", "team=reviews", "--output=name"}, false, "httproute.gateway.networking.k8s.io/reviews"},
		{"version", []string{"version"}, false, "Server Version: v1."},
		{"may I", []string{"auth", "can-i", "create", "httproutes", "-n", "shop"}, false, "yes"},
		{"delete", []string{"delete", "httproute/reviews", "secret/shop-cert", "-n", "shop"}, false, `"reviews" deleted`},
		{"it is gone", []string{"get", "httproute/reviews", "-n", "shop"}, true, "NotFound"},
	} {
		out, err := mesh.TryKubectl(step.argv...)
		if err != nil {
			out += err.Error()
		}
		if (err != nil) != step.fails || !strings.Contains(out, step.says) {
			t.Errorf("%s: kubectl %s\nfailed is %v, want %v with %q in\n%s", step.what, strings.Join(step.argv, " "), err != nil, step.fails, step.says, out)
		}
	}
	watchSeesChanges(t, mesh, first)
	isthmusShowsTheSame(t, mesh, first)
	rulesAreSaid(t, mesh)
}

// rulesAreSaid applies what fits the schemas and breaks a rule between fields.
func rulesAreSaid(t *testing.T, mesh *meshtest.World) {
	const ours = "apiVersion: isthmus.dev/v1alpha1\n"
	mesh.Apply(ours + "kind: Zone\nmetadata: {name: dc9}\nspec: {type: machines}\n")
	for yaml, says := range map[string]string{
		"kind: Subset\nmetadata: {name: all, namespace: shop}\nspec: {service: reviews}\n":                          "a subset narrows by",
		"kind: Service\nmetadata: {name: out, namespace: shop}\nspec: {external: {hostnames: [out.example.com]}}\n": "an external service declares its ports",
		"kind: Zone\nmetadata: {name: dc9}\nspec: {type: kubernetes}\n":                                             "the type of a zone cannot change",
		policyRest("  fault: {}"): "a fault is a delay, an abort, or both",
		policyRest("  loadBalancing: {policy: ConsistentHash, consistentHash: {header: x, source: true}}"): "set exactly one of header, cookie and source",
	} {
		if out, err := mesh.TryApply(ours + yaml); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s%s should be refused with %q: %v", yaml, out, says, err)
		}
	}
}

// policyRest is a policy but for its first line.
func policyRest(spec string) string {
	_, rest, _ := strings.Cut(policy("reviews", spec), "\n")
	return rest
}

// isthmusShowsTheSame compares what the two programs print; ages may differ while a second ends.
func isthmusShowsTheSame(t *testing.T, mesh *meshtest.World, file string) {
	mesh.Kubectl("apply", "-f", file)
	for _, args := range [][]string{
		{"get", "workspaces,services,httproutes", "-A"},
		{"explain", "httproute.spec"},
		{"explain", "trafficpolicy.spec"},
	} {
		meshtest.Eventually(t, "isthmus prints what kubectl prints", func() error {
			theirs, ours := mesh.Kubectl(args...), mesh.Isthmus(args...)
			if theirs != ours || len(ours) < 100 {
				return fmt.Errorf("kubectl %v:\n%s\nisthmus:\n%s", args, theirs, ours)
			}
			return nil
		})
	}
}

// weighted is a route with a backend of which one line is as given.
func weighted(line string) string {
	return route("reviews", "  - backendRefs:\n    - name: reviews\n      port: 9080\n      "+line)
}

// calm is an AuthorizationPolicy that says DENY in a field.
func calm(field string) string {
	return "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: calm, namespace: shop}\nspec: {" + field + ": DENY}\n"
}

func certificateFiles(t *testing.T, desk *meshtest.Machine) (certificate, key string) {
	t.Helper()
	public, private := meshtest.Certificate(t, "shop.example.com")
	return desk.WriteFile("tls.crt", string(public)), desk.WriteFile("tls.key", string(private))
}

// watchSeesChanges runs "kubectl get -w" while an object comes and goes, and deletes it with a wait.
func watchSeesChanges(t *testing.T, mesh *meshtest.World, file string) {
	watch := mesh.Desk().Start("watch", func() []string {
		return []string{"kubectl", "get", "httproutes", "-n", "shop", "-w", "--output-watch-events"}
	})
	defer watch.Kill()
	shows := func(event string) {
		t.Helper()
		meshtest.Eventually(t, "the watch shows "+event, func() error {
			if log := watch.Log(); !strings.Contains(log, event) {
				return errors.New(log)
			}
			return nil
		})
	}
	mesh.Kubectl("apply", "-f", file)
	shows("ADDED")
	gone := make(chan error, 1)
	go func() {
		_, err := mesh.Desk().Run(context.WithoutCancel(t.Context()), "", "kubectl", "wait", "--for=delete", "httproute/reviews", "-n", "shop", "--timeout=20s")
		gone <- err
	}()
	mesh.Kubectl("delete", "-f", file)
	shows("DELETED")
	if err := <-gone; err != nil {
		t.Error(err)
	}
}

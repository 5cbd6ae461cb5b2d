package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/isthmus-mesh/isthmus/cli"
	"github.com/isthmus-mesh/isthmus/hub"
)

// gitOps does to the hub what the tools of examples/gitops do.
func gitOps(t *testing.T, info hub.Info) {
	t.Run("Kubeconfig", func(t *testing.T) { kubeconfigStandsAlone(t, info) })
	t.Run("Apply", func(t *testing.T) {
		for _, dry := range []string{"server", "none"} {
			runOK(t, info, "apply", "--server-side", "--force-conflicts", "--field-manager=kustomize-controller",
				"--dry-run="+dry, "-f", "../examples/shop.yaml", "-f", "../examples/timeouts.yaml")
		}
	})
	t.Run("Difference", func(t *testing.T) { defaultsAreNoDifference(t, info) })
	t.Run("Managers", func(t *testing.T) { managersShareAnObject(t, info) })
	t.Run("Prune", func(t *testing.T) { pruneTakesWhatIsGone(t, info) })
	t.Run("Health", func(t *testing.T) {
		for _, check := range healthChecks(t) {
			understood(t, info, check)
		}
	})
}

// defaultsAreNoDifference wants that what was applied differs in nothing from what is stored, whichever way one
// looks: then no list of differences to ignore is needed.
func defaultsAreNoDifference(t *testing.T, info hub.Info) {
	files, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("examples: %d, %v", len(files), err)
	}
	files = slices.DeleteFunc(files, func(file string) bool { return filepath.Base(file) == "shop.yaml" })
	for _, file := range append([]string{"../examples/shop.yaml"}, files...) { // the others need its namespace
		runOK(t, info, "apply", "--server-side", "--force-conflicts", "--field-manager=kustomize-controller", "-f", file)
		for _, way := range [][]string{{}, {"--server-side", "--force-conflicts", "--field-manager=kustomize-controller"}} {
			if code, out, errOut := runAgainst(t, info, append([]string{"diff", "-f", file}, way...)...); code != cli.ExitOK || out != "" {
				t.Errorf("diff %v of %s: exit code %d\n%s%s", way, file, code, out, errOut)
			}
		}
	}
	runOK(t, info, "apply", "--server-side", "--force-conflicts", "--field-manager=kustomize-controller", "-f", "../examples/shop.yaml", "-f", "../examples/timeouts.yaml")
}

// managersShareAnObject has two tools apply different fields of one route: neither takes away what the other said,
// and who wants the other's field is told whose it is.
func managersShareAnObject(t *testing.T, info hub.Info) {
	route := func(field string) string {
		file := filepath.Join(t.TempDir(), "route.yaml")
		text := "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: shared\n  namespace: shop\n" + field
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	spec := route("spec:\n  parentRefs: [{group: isthmus.dev, kind: Service, name: details}]\n  hostnames: [one.example]\n")
	label := route("  labels: {team: one}\n")
	runOK(t, info, "apply", "--server-side", "--field-manager=kustomize-controller", "-f", spec)
	runOK(t, info, "apply", "--server-side", "--field-manager=argocd-controller", "-f", label)
	runOK(t, info, "apply", "--server-side", "--field-manager=kustomize-controller", "-f", spec)
	if got := runOK(t, info, "get", "httproute", "shared", "-n", "shop", "-o", "jsonpath={.metadata.labels.team} {.spec.hostnames[0]}"); got != "one one.example" {
		t.Errorf("the route carries %q", got)
	}
	other := route("spec:\n  hostnames: [two.example]\n")
	code, _, errOut := runAgainst(t, info, "apply", "--server-side", "--field-manager=argocd-controller", "-f", other)
	if code == cli.ExitOK || !strings.Contains(errOut, "kustomize-controller") || !strings.Contains(errOut, ".spec.hostnames") {
		t.Errorf("a field of another manager: exit code %d, %s", code, errOut)
	}
	runOK(t, info, "delete", "httproute", "shared", "-n", "shop")
}

// pruneTakesWhatIsGone applies two objects, then one of them: the other is deleted, and nothing that was applied
// otherwise.
func pruneTakesWhatIsGone(t *testing.T, info hub.Info) {
	apply := func(names ...string) {
		file := filepath.Join(t.TempDir(), "objects.yaml")
		text := ""
		for _, name := range names {
			text += "---\napiVersion: isthmus.dev/v1alpha1\nkind: Tenant\nmetadata: {name: " + name + ", labels: {part-of: prune}}\n"
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		runOK(t, info, "apply", "--prune", "--selector=part-of=prune",
			"--prune-allowlist=isthmus.dev/v1alpha1/Tenant", "-f", file)
	}
	apply("stays", "goes")
	apply("stays")
	if got := runOK(t, info, "get", "tenants", "-l", "part-of=prune", "-o", "name"); strings.TrimSpace(got) != "tenant.isthmus.dev/stays" {
		t.Errorf("left are %q", got)
	}
	runOK(t, info, "delete", "tenant", "stays")
}

// kubeconfigStandsAlone wants a kubeconfig that can be taken to another cluster.
func kubeconfigStandsAlone(t *testing.T, info hub.Info) {
	config, err := clientcmd.LoadFromFile(info.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for name, cluster := range config.Clusters {
		if len(cluster.CertificateAuthorityData) == 0 {
			t.Errorf("cluster %s: the certificate authority is not in the file", name)
		}
	}
	for name, user := range config.AuthInfos {
		if len(user.ClientCertificateData) == 0 || len(user.ClientKeyData) == 0 {
			t.Errorf("user %s: the certificate or its key is not in the file", name)
		}
	}
}

// healthCheck is a part of Flux' Kustomization.
type healthCheck struct{ APIVersion, Kind, Current, Failed string }

func healthChecks(t *testing.T) []healthCheck {
	text, err := os.ReadFile(filepath.FromSlash("../examples/gitops/flux.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var kustomization struct {
		Spec struct{ HealthCheckExprs []healthCheck }
	}
	documents := bytes.Split(text, []byte("\n---\n"))
	if err := yaml.Unmarshal(documents[len(documents)-1], &kustomization); err != nil {
		t.Fatal(err)
	}
	if len(kustomization.Spec.HealthCheckExprs) < 3 {
		t.Fatal("the example checks nothing")
	}
	return kustomization.Spec.HealthCheckExprs
}

// understood holds a check against what the hub says of real objects, and against the same with the conditions
// turned over: it is current when that which it waits for is true, and fails when the object is not accepted.
func understood(t *testing.T, info hub.Info, check healthCheck) {
	t.Helper()
	kind := strings.ToLower(check.Kind)
	runOK(t, info, "wait", "--for=jsonpath={.status.conditions}", kind, "--all", "-A", "--timeout=20s")
	objects := runJSON[struct{ Items []map[string]any }](t, info, "get", kind, "-A", "-o", "json").Items
	if len(objects) == 0 {
		t.Errorf("the hub has no %s", check.Kind)
	}
	current, failed := expression(t, check.Current), expression(t, check.Failed)
	for _, o := range objects {
		if accepted := conditions(o)["Accepted"].(string); failed(o) == (accepted == "True") {
			t.Errorf("%s is accepted: %s; taken for failed: %v\n%v", check.Kind, accepted, failed(o), o)
		}
		if turn(o, "True"); !current(o) || failed(o) {
			t.Errorf("%s is all that it can be and not taken for current: %v", check.Kind, o)
		}
		if turn(o, "False"); current(o) || !failed(o) {
			t.Errorf("%s is not accepted and not taken for failed: %v", check.Kind, o)
		}
	}
}

// conditions are an object's, by type.
func conditions(object map[string]any) map[string]any {
	all := map[string]any{}
	for _, c := range object["status"].(map[string]any)["conditions"].([]any) {
		c := c.(map[string]any)
		all[c["type"].(string)] = c["status"]
	}
	return all
}

// turn gives all conditions of an object one status.
func turn(object map[string]any, status string) {
	for _, c := range object["status"].(map[string]any)["conditions"].([]any) {
		c.(map[string]any)["status"] = status
	}
}

// expression compiles as Flux does: the parts of the object are variables; what cannot be evaluated does not hold.
func expression(t *testing.T, text string) func(object map[string]any) bool {
	t.Helper()
	env, err := cel.NewEnv(cel.Variable("status", cel.DynType))
	if err != nil {
		t.Fatal(err)
	}
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		t.Fatalf("%s: %v", text, issues.Err())
	}
	program, err := env.Program(ast)
	if err != nil {
		t.Fatal(err)
	}
	return func(object map[string]any) bool {
		value, _, err := program.Eval(map[string]any{"status": object["status"]})
		return err == nil && value.Value() == true
	}
}

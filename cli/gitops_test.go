package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

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
	t.Run("Health", func(t *testing.T) {
		for _, check := range healthChecks(t) {
			understood(t, info, check)
		}
	})
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

package cli_test

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/isthmus-mesh/isthmus/deploy"
)

// TestChartCallsTheEdgeAsItIs compares the arguments in the chart with the flags there are.
func TestChartCallsTheEdgeAsItIs(t *testing.T) {
	text, err := deploy.Manifest("v1", deploy.Values{JoinTokens: []string{"isthmus1.e30"}})
	if err != nil {
		t.Fatal(err)
	}
	args := edgeArguments(t, string(text))
	command, rest, err := commandLine().Root.Find(args)
	if err != nil || command.Name() != "edge" {
		t.Fatalf("%v: %v", args, err)
	}
	if err := command.ParseFlags(rest); err != nil {
		t.Error(err)
	}
}

func edgeArguments(t *testing.T, manifest string) []string {
	documents := strings.Split(manifest, "\n---\n")
	var set struct {
		Spec struct {
			Template struct {
				Spec struct{ Containers []struct{ Args []string } }
			}
		}
	}
	if err := yaml.Unmarshal([]byte(documents[len(documents)-1]), &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Spec.Template.Spec.Containers) != 1 {
		t.Fatalf("the last object is not the edge:\n%s", documents[len(documents)-1])
	}
	return set.Spec.Template.Spec.Containers[0].Args
}

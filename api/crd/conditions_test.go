package crd_test

import (
	"slices"
	"testing"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/isthmus-mesh/isthmus/api/crd"
)

func TestEveryConditionedKindHasConditionsInEveryVersion(t *testing.T) {
	definitions := parse(t)
	for _, kind := range []string{"HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "Gateway", "Service", "TrafficPolicy", "Zone"} {
		i := slices.IndexFunc(definitions, func(d apiextensions.CustomResourceDefinition) bool { return d.Spec.Names.Kind == kind })
		if i < 0 {
			t.Errorf("%s is not defined", kind)
			continue
		}
		for _, v := range definitions[i].Spec.Versions {
			conditions, ok := v.Schema.OpenAPIV3Schema.Properties["status"].Properties["conditions"]
			if !ok || conditions.Type != "array" {
				t.Errorf("%s %s: status.conditions is %v, want an array", kind, v.Name, conditions.Type)
			}
		}
	}
}

func TestRoutesKeepWhatTheGatewayAPIGivesThem(t *testing.T) {
	for _, d := range parse(t) {
		if d.Spec.Names.Kind != "HTTPRoute" {
			continue
		}
		for _, v := range d.Spec.Versions {
			if _, ok := v.Schema.OpenAPIV3Schema.Properties["status"].Properties["parents"]; !ok {
				t.Errorf("HTTPRoute %s lost status.parents", v.Name)
			}
		}
	}
}

func parse(t *testing.T) []apiextensions.CustomResourceDefinition {
	t.Helper()
	texts, err := crd.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	definitions := make([]apiextensions.CustomResourceDefinition, len(texts))
	for i, text := range texts {
		if err := yaml.UnmarshalStrict(text, &definitions[i]); err != nil {
			t.Fatalf("%s: %v", text[:80], err)
		}
	}
	return definitions
}

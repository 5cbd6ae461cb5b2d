package crd

import (
	"fmt"
	"io/fs"
	"slices"

	"sigs.k8s.io/yaml"
)

// routes are the definitions whose status the Gateway API gives no conditions of its own.
var routes = []string{"httproutes", "grpcroutes", "tlsroutes", "tcproutes"}

// Definitions returns every definition as the hub serves it, YAML, in the order of the files'
// names: those of routes have status.conditions added, in the form that all other kinds have them, so
// that "kubectl wait --for=condition=Programmed" works on them (docs/adr/0003-route-conditions.md).
func Definitions() ([][]byte, error) {
	names, err := fs.Glob(Files, "*/*.yaml")
	if err != nil {
		return nil, err
	}
	conditions, err := conditionsSchema()
	if err != nil {
		return nil, err
	}
	definitions := make([][]byte, len(names))
	for i, name := range names {
		if definitions[i], err = served(name, conditions); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return definitions, nil
}

// served is one definition, with conditions added where it is a route's.
func served(file string, conditions any) ([]byte, error) {
	text, err := Files.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var definition map[string]any
	if err := yaml.Unmarshal(text, &definition); err != nil {
		return nil, err
	}
	if plural, _ := field(definition, "spec", "names", "plural").(string); !slices.Contains(routes, plural) {
		return text, nil
	}
	versions, _ := field(definition, "spec", "versions").([]any)
	for _, version := range versions {
		if err := extend(version, conditions); err != nil {
			return nil, err
		}
	}
	return yaml.Marshal(definition)
}

// extend adds conditions to the status of one version, and a column that shows the one people ask for.
func extend(version, conditions any) error {
	status, ok := field(version, "schema", "openAPIV3Schema", "properties", "status", "properties").(map[string]any)
	if !ok {
		return fmt.Errorf("no status to extend")
	}
	if _, taken := status["conditions"]; taken {
		return fmt.Errorf("the status has conditions already: take the extension out")
	}
	status["conditions"] = conditions
	v := version.(map[string]any)
	columns, _ := v["additionalPrinterColumns"].([]any)
	v["additionalPrinterColumns"] = slices.Insert(columns, len(columns)-min(1, len(columns)), any(map[string]any{
		"name": "Programmed", "type": "string", "jsonPath": `.status.conditions[?(@.type=="Programmed")].status`,
	}))
	return nil
}

// conditionsSchema is the schema of status.conditions as controller-gen makes it for our own kinds.
func conditionsSchema() (any, error) {
	text, err := Files.ReadFile("isthmus/isthmus.dev_services.yaml")
	if err != nil {
		return nil, err
	}
	var definition map[string]any
	if err := yaml.Unmarshal(text, &definition); err != nil {
		return nil, err
	}
	versions, _ := field(definition, "spec", "versions").([]any)
	if len(versions) == 0 {
		return nil, fmt.Errorf("isthmus.dev_services.yaml: no versions")
	}
	schema := field(versions[0], "schema", "openAPIV3Schema", "properties", "status", "properties", "conditions")
	if schema == nil {
		return nil, fmt.Errorf("isthmus.dev_services.yaml: no status.conditions")
	}
	return schema, nil
}

// field walks down maps; nil when there is no such field.
func field(value any, path ...string) any {
	for _, name := range path {
		m, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = m[name]
	}
	return value
}

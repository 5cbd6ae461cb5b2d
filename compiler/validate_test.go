package compiler_test

import (
	"testing"

	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/resource"

	"strings"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// validate has Istio itself check every Istio object.
func validate(t *testing.T, resources []*feedpb.Resource) {
	t.Helper()
	for _, r := range resources {
		part := strings.SplitN(r.Name, "/", 3)
		schema, is := schemaOf(part[0], r.Body.TypeUrl)
		if !is {
			continue
		}
		body, err := r.Body.UnmarshalNew()
		if err != nil {
			t.Fatalf("%s: %v", r.Name, err)
		}
		object := config.Config{
			Meta: config.Meta{GroupVersionKind: schema.GroupVersionKind(), Namespace: part[1], Name: part[2], Labels: r.Labels},
			Spec: body,
		}
		// A prefix is rendered as two matches; that of the path itself may be hidden by another rule's.
		warning, err := schema.ValidateConfig(object)
		if warning != nil && strings.Contains(warning.Error(), "duplicate/overlapping match") {
			warning = nil
		}
		if err != nil || warning != nil {
			t.Errorf("%s: error %v, warning %v\n%s", r.Name, err, warning, renderBody(t, r))
		}
	}
}

// schemaOf finds Istio's own description of a kind; false for messages that are not Istio's.
func schemaOf(kind, typeURL string) (resource.Schema, bool) {
	if !strings.Contains(typeURL, "/istio.") {
		return nil, false
	}
	for _, schema := range collections.Pilot.All() {
		if schema.Kind() == kind {
			return schema, true
		}
	}
	return nil, false
}

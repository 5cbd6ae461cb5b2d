package apiserver

import (
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// statusSchema is what the status of a kind may be.
type statusSchema struct {
	form      *structural.Structural
	validator validation.SchemaValidator
}

// statusSchemas are those of the definitions, by resource.
func statusSchemas(definitions []*apiextensionsv1.CustomResourceDefinition) (map[schema.GroupVersionResource]*statusSchema, error) {
	schemas := map[schema.GroupVersionResource]*statusSchema{}
	for _, d := range definitions {
		for _, v := range d.Spec.Versions {
			properties, ok := v.Schema.OpenAPIV3Schema.Properties["status"]
			if !ok || v.Subresources == nil || v.Subresources.Status == nil {
				continue
			}
			s, err := newStatusSchema(properties)
			if err != nil {
				return nil, fmt.Errorf("the status of %s, %s: %w", d.Name, v.Name, err)
			}
			schemas[schema.GroupVersionResource{Group: d.Spec.Group, Version: v.Name, Resource: d.Spec.Names.Plural}] = s
		}
	}
	return schemas, nil
}

func newStatusSchema(properties apiextensionsv1.JSONSchemaProps) (*statusSchema, error) {
	internal := &apiextensions.JSONSchemaProps{}
	err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&properties, internal, nil)
	if err != nil {
		return nil, err
	}
	form, err := structural.NewStructural(internal)
	if err != nil {
		return nil, err
	}
	validator, _, err := validation.NewSchemaValidator(internal)
	return &statusSchema{form, validator}, err
}

// check takes out what the schema does not know, fills in its defaults, and refuses what it does not allow, as the
// API server does.
func (s *statusSchema) check(k *kind, name string, status map[string]any) error {
	pruning.Prune(status, s.form, false)
	defaulting.Default(status, s.form)
	path := field.NewPath("status")
	wrong := validation.ValidateCustomResource(path, status, s.validator)
	wrong = append(wrong, listtype.ValidateListSetsAndMaps(path, s.form, status)...)
	if len(wrong) > 0 {
		return apierrors.NewInvalid(k.resource.GroupVersion().WithKind(k.name).GroupKind(), name, wrong)
	}
	return nil
}

package hubclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/restmapper"
)

// Apply applies the YAML documents of text in order, server-side, as owner. It stops at the first
// that is refused.
func (c *Client) Apply(ctx context.Context, owner string, text []byte) error {
	mapper, err := c.mapper()
	if err != nil {
		return err
	}
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var object unstructured.Unstructured
		err := documents.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(object.Object) == 0 {
			continue
		}
		if err := c.applyOne(ctx, mapper, owner, &object); err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
}

func (c *Client) mapper() (meta.RESTMapper, error) {
	groups, err := restmapper.GetAPIGroupResources(c.discovery)
	if err != nil {
		return nil, fmt.Errorf("ask the hub for its kinds: %w", err)
	}
	return restmapper.NewDiscoveryRESTMapper(groups), nil
}

func (c *Client) applyOne(ctx context.Context, mapper meta.RESTMapper, owner string, object *unstructured.Unstructured) error {
	kind := object.GroupVersionKind()
	mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	content, err := json.Marshal(object)
	if err != nil {
		return err
	}
	force := true
	_, err = c.dynamic.Resource(mapping.Resource).Namespace(object.GetNamespace()).Patch(ctx, object.GetName(),
		types.ApplyPatchType, content, metav1.PatchOptions{FieldManager: owner, Force: &force, FieldValidation: "Strict"})
	return err
}

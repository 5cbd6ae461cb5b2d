package hubclient

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	view "github.com/isthmus-mesh/isthmus/api/view/v1alpha1"
)

// Zones lists the zones.
func (c *Client) Zones(ctx context.Context) ([]v1alpha1.Zone, error) {
	return list[v1alpha1.Zone](ctx, c.dynamic.Resource(zones))
}

// Zone returns one zone, or an error that says how to make it.
func (c *Client) Zone(ctx context.Context, name string) (v1alpha1.Zone, error) {
	zone, err := get[v1alpha1.Zone](ctx, c.dynamic.Resource(zones), name)
	if apierrors.IsNotFound(err) {
		return zone, fmt.Errorf("there is no zone %s: see isthmus zone list, or make it with isthmus zone create %s", name, name)
	}
	return zone, err
}

// CreateZone makes a zone. One that exists is an error that says how to go on.
func (c *Client) CreateZone(ctx context.Context, name string, spec v1alpha1.ZoneSpec) error {
	zone := v1alpha1.Zone{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
	zone.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Zone"))
	err := create(ctx, c.dynamic.Resource(zones), &zone)
	if apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("zone %s exists already; for one more edge there: isthmus token create --role edge --zone %s", name, name)
	}
	return err
}

// TrustZone says what a cluster is trusted for; nil means the mesh's root only.
func (c *Client) TrustZone(ctx context.Context, name string, trust *v1alpha1.ZoneTrust) error {
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"trust": trust}})
	if err != nil {
		return err
	}
	_, err = c.dynamic.Resource(zones).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// DeleteZone takes a zone out, with all its tokens. Its workloads and edges are not stopped.
func (c *Client) DeleteZone(ctx context.Context, name string) error {
	all, err := c.Tokens(ctx)
	if err != nil {
		return err
	}
	for _, token := range all {
		if token.Spec.Zone != name {
			continue
		}
		if err := c.RevokeToken(ctx, token.Name); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return c.dynamic.Resource(zones).Delete(ctx, name, metav1.DeleteOptions{})
}

// WorkloadsIn lists the workloads of a zone.
func (c *Client) WorkloadsIn(ctx context.Context, zone string) ([]view.Workload, error) {
	all, err := c.workloads(ctx)
	elsewhere := func(w view.Workload) bool { return w.Spec.Zone != zone }
	return slices.DeleteFunc(all, elsewhere), err
}

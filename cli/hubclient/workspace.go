package hubclient

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
)

// Workspaces lists the workspaces.
func (c *Client) Workspaces(ctx context.Context) ([]v1alpha1.Workspace, error) {
	return list[v1alpha1.Workspace](ctx, c.dynamic.Resource(workspaces))
}

// EnsureWorkspace makes the workspace of a request if there is none, living in the request's zone alone and of no
// tenant, and tells whether it did. It makes nothing before there is an edge to join at. A workspace that exists
// is never changed: one that does not live in the zone is an error with the command that lets it.
func (c *Client) EnsureWorkspace(ctx context.Context, request TokenRequest) (made bool, err error) {
	zone, err := c.Zone(ctx, request.Zone)
	if err != nil {
		return false, err
	}
	err = c.checkWorkspace(ctx, request.Workspace, zone.Name)
	if !apierrors.IsNotFound(err) {
		return false, err
	}
	if _, err := joinable(zone); err != nil {
		return false, err
	}
	err = c.createWorkspace(ctx, request.Workspace, zone.Name)
	if apierrors.IsAlreadyExists(err) { // somebody was faster
		return false, c.checkWorkspace(ctx, request.Workspace, zone.Name)
	}
	return err == nil, err
}

func (c *Client) checkWorkspace(ctx context.Context, name, zone string) error {
	w, err := get[v1alpha1.Workspace](ctx, c.dynamic.Resource(workspaces), name)
	if err != nil || len(w.Spec.Zones) == 0 || w.Spec.NamesZone(zone) {
		return err
	}
	return problem.ZoneNotClaimed.Because("workspace %[1]s does not live in zone %[2]s; to let it: "+
		`isthmus patch workspace %[1]s --type json -p '[{"op":"add","path":"/spec/zones/-","value":"%[2]s"}]'`, name, zone)
}

func (c *Client) createWorkspace(ctx context.Context, name, zone string) error {
	w := v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.WorkspaceSpec{Zones: []string{zone}}}
	w.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Workspace"))
	if err := create(ctx, c.dynamic.Resource(workspaces), &w); err != nil {
		return fmt.Errorf("there is no workspace %s, and it cannot be made: %w", name, err)
	}
	return nil
}

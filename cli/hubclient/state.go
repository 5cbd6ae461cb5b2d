package hubclient

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	view "github.com/isthmus-mesh/isthmus/api/view/v1alpha1"
)

// State is everything a hub says of its mesh at about one moment.
type State struct {
	// NotReady is why the hub is not ready, empty when it is.
	NotReady  string
	Zones     []v1alpha1.Zone
	Revisions []view.Revision
	Workloads []view.Workload
	Proxies   []view.Proxy
	// Objects are all intent objects that carry conditions.
	Objects []unstructured.Unstructured
}

// conditioned are the intent kinds whose conditions tell people what is wrong.
var conditioned = []schema.GroupVersionResource{
	v1alpha1.GroupVersion.WithResource("tenants"), workspaces,
	v1alpha1.GroupVersion.WithResource("services"), v1alpha1.GroupVersion.WithResource("subsets"),
	v1alpha1.GroupVersion.WithResource("trafficpolicies"),
	gateway("gateways"), gateway("httproutes"), gateway("grpcroutes"), gateway("tlsroutes"), gateway("tcproutes"),
}

func gateway(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: resource}
}

// State asks the hub for everything at once. It fails when the hub does not answer or refuses.
func (c *Client) State(ctx context.Context) (State, error) {
	var s State
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) { s.NotReady, err = c.notReady(ctx); return })
	group.Go(func() (err error) { s.Zones, err = c.Zones(ctx); return })
	group.Go(func() (err error) { s.Revisions, err = list[view.Revision](ctx, c.dynamic.Resource(revisions)); return })
	group.Go(func() (err error) { s.Workloads, err = c.workloads(ctx); return })
	group.Go(func() (err error) { s.Proxies, err = list[view.Proxy](ctx, c.dynamic.Resource(proxies)); return })
	group.Go(func() (err error) { s.Objects, err = c.objects(ctx); return })
	return s, group.Wait()
}

func (c *Client) workloads(ctx context.Context) ([]view.Workload, error) {
	return list[view.Workload](ctx, c.dynamic.Resource(workloads))
}

func (c *Client) objects(ctx context.Context) ([]unstructured.Unstructured, error) {
	var all []unstructured.Unstructured
	for _, resource := range conditioned {
		found, err := c.dynamic.Resource(resource).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", resource.Resource, err)
		}
		all = append(all, found.Items...)
	}
	return all, nil
}

// notReady asks /readyz; the error is that of a hub that does not answer at all.
func (c *Client) notReady(ctx context.Context) (string, error) {
	answer, err := c.discovery.RESTClient().Get().AbsPath("/readyz").MaxRetries(0).Do(ctx).Raw()
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return strings.TrimSpace(string(answer)), nil
	}
	return "", err
}

// Ready returns an error while the hub is not ready, or not there.
func (c *Client) Ready(ctx context.Context) error {
	reason, err := c.notReady(ctx)
	if err == nil && reason != "" {
		err = fmt.Errorf("the hub is not ready: %s", reason)
	}
	return err
}

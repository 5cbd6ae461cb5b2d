// Package hubclient is what our own commands ask of a hub: zones, tokens and the state of the mesh.
// It talks to the hub's Kubernetes API and keeps nothing; a Client may be used from any goroutine.
package hubclient

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/isthmus-mesh/isthmus/api/hubinfo"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	view "github.com/isthmus-mesh/isthmus/api/view/v1alpha1"
)

// The resources that the commands ask for.
var (
	zones      = v1alpha1.GroupVersion.WithResource("zones")
	tokens     = v1alpha1.GroupVersion.WithResource("jointokens")
	workspaces = v1alpha1.GroupVersion.WithResource("workspaces")
	workloads  = view.GroupVersion.WithResource("workloads")
	proxies    = view.GroupVersion.WithResource("proxies")
	revisions  = view.GroupVersion.WithResource("revisions")
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
)

// Client asks one hub.
type Client struct {
	address   string
	dynamic   dynamic.Interface
	discovery *discovery.DiscoveryClient
	now       func() time.Time
}

// New makes a client; now is the clock for expiry of tokens.
func New(config *rest.Config, now func() time.Time) (*Client, error) {
	// The commands are few and short, and the hub guards itself.
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = -1, -1
	d, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("hub at %s: %w", config.Host, err)
	}
	kinds, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("hub at %s: %w", config.Host, err)
	}
	return &Client{address: config.Host, dynamic: d, discovery: kinds, now: now}, nil
}

// Address of the hub's API, a URL.
func (c *Client) Address() string { return c.address }

// Info returns what the hub publishes about itself.
func (c *Client) Info(ctx context.Context) (hubinfo.Info, error) {
	object, err := c.dynamic.Resource(configMaps).Namespace(hubinfo.Namespace).Get(ctx, hubinfo.Name, metav1.GetOptions{})
	if err != nil {
		return hubinfo.Info{}, fmt.Errorf("ask the hub where its feed is: %w", err)
	}
	data, _, err := unstructured.NestedStringMap(object.Object, "data")
	if err != nil {
		return hubinfo.Info{}, fmt.Errorf("ConfigMap %s/%s: %w", hubinfo.Namespace, hubinfo.Name, err)
	}
	return hubinfo.Parse(data)
}

func get[T any](ctx context.Context, in dynamic.ResourceInterface, name string) (T, error) {
	object, err := in.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		var zero T
		return zero, err
	}
	return typed[T](object)
}

func list[T any](ctx context.Context, in dynamic.ResourceInterface) ([]T, error) {
	objects, err := in.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	all := make([]T, 0, len(objects.Items))
	for i := range objects.Items {
		one, err := typed[T](&objects.Items[i])
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func typed[T any](object *unstructured.Unstructured) (T, error) {
	var one T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &one); err != nil {
		return one, fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return one, nil
}

// create stores an object of one of our kinds; its type meta must be set.
func create[T any](ctx context.Context, in dynamic.ResourceInterface, one *T) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(one)
	if err != nil {
		return err
	}
	unstructured.RemoveNestedField(content, "status")
	_, err = in.Create(ctx, &unstructured.Unstructured{Object: content}, metav1.CreateOptions{FieldValidation: "Strict"})
	return err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/isthmus-mesh/isthmus/api/hubinfo"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/identity"
)

const (
	workspace = "bench"
	zone      = "dc1"
	services  = 20
	fieldName = "isthmus-bench"
)

var (
	routes     = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}
	configMaps = corev1.SchemeGroupVersion.WithResource("configmaps")
)

// world is a hub and an edge, running as shipped.
type world struct {
	dir, bin       string
	hub, edge      *process
	edgeArgs       []string
	api            dynamic.Interface
	info           hubinfo.Info
	edgeAddress    string
	edgeStatus     string
	members        int
	hubAPI, hubOut string
}

func newWorld(ctx context.Context, bin string) (*world, error) {
	dir, err := os.MkdirTemp("", "isthmus-bench-")
	if err != nil {
		return nil, err
	}
	w := &world{dir: dir, bin: bin}
	for _, step := range []func(context.Context) error{w.startHub, w.connect, w.describe, w.startEdge} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, w.close())
		}
	}
	return w, nil
}

func (w *world) startHub(context.Context) error {
	api, err := freePort()
	if err != nil {
		return err
	}
	feed, err := freePort()
	if err != nil {
		return err
	}
	w.hub, err = start(w.dir, "hub", filepath.Join(w.bin, "isthmus"), "hub", "--data", filepath.Join(w.dir, "hub"),
		"--listen", api, "--feed-listen", feed)
	return err
}

// connect waits for the hub and learns what it says about itself.
func (w *world) connect(ctx context.Context) error {
	return eventually(ctx, "hub", func() error {
		config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(w.dir, "hub", "admin.kubeconfig"))
		if err != nil {
			return err
		}
		config.QPS, config.Burst = 10000, 10000
		if w.api, err = dynamic.NewForConfig(config); err != nil {
			return err
		}
		found, err := w.api.Resource(configMaps).Namespace(hubinfo.Namespace).Get(ctx, hubinfo.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		data, _, err := unstructured.NestedStringMap(found.Object, "data")
		if err != nil {
			return err
		}
		w.info, err = hubinfo.Parse(data)
		return err
	})
}

// describe creates zone, workspace, the services that are in scope of every proxy, and the route that the
// measured changes are made to.
func (w *world) describe(ctx context.Context) error {
	if err := w.create(ctx, "zones", &v1alpha1.Zone{ObjectMeta: metav1.ObjectMeta{Name: zone}, Spec: v1alpha1.ZoneSpec{Type: v1alpha1.ZoneMachines}}); err != nil {
		return err
	}
	if err := w.create(ctx, "workspaces", &v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: workspace}}); err != nil {
		return err
	}
	for i := range services {
		service := &v1alpha1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: workspace, Name: serviceName(i)},
			Spec: v1alpha1.ServiceSpec{Ports: []v1alpha1.ServicePort{{Port: 8080, Protocol: v1alpha1.ProtocolHTTP}}}}
		if err := eventually(ctx, "service", func() error { return w.create(ctx, "services", service) }); err != nil {
			return err
		}
	}
	return eventually(ctx, "route", func() error { return w.change(ctx, "bench-start") })
}

func serviceName(i int) string { return fmt.Sprintf("svc-%02d", i%services) }

func (w *world) create(ctx context.Context, plural string, object interface {
	runtime.Object
	metav1.Object
}) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetAPIVersion(v1alpha1.GroupVersion.String())
	u.SetKind(map[string]string{"zones": "Zone", "workspaces": "Workspace", "jointokens": "JoinToken", "services": "Service"}[plural])
	unstructured.RemoveNestedField(u.Object, "status")
	_, err = w.api.Resource(v1alpha1.GroupVersion.WithResource(plural)).Namespace(object.GetNamespace()).Create(ctx, u, metav1.CreateOptions{FieldManager: fieldName})
	return err
}

// change applies the route of the first service with a response header that carries the marker.
func (w *world) change(ctx context.Context, marker string) error {
	body := fmt.Sprintf(`{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","metadata":{"name":"svc-00","namespace":%q},
"spec":{"parentRefs":[{"group":"isthmus.dev","kind":"Service","name":"svc-00"}],"rules":[{"filters":[{"type":"ResponseHeaderModifier",
"responseHeaderModifier":{"set":[{"name":"x-bench","value":%q}]}}],"backendRefs":[{"group":"isthmus.dev","kind":"Service","name":"svc-00","port":8080}]}]}}`, workspace, marker)
	force := true
	_, err := w.api.Resource(routes).Namespace(workspace).Patch(ctx, "svc-00", types.ApplyPatchType, []byte(body), metav1.PatchOptions{FieldManager: fieldName, Force: &force})
	return err
}

func (w *world) startEdge(ctx context.Context) error {
	var err error
	if w.edgeAddress, err = freePort(); err != nil {
		return err
	}
	if w.edgeStatus, err = freePort(); err != nil {
		return err
	}
	token, err := w.token(ctx, "edge-1", v1alpha1.JoinEdge, "", w.info.FeedAddresses)
	if err != nil {
		return err
	}
	w.edgeArgs = []string{filepath.Join(w.bin, "isthmus"), "edge", "--data", filepath.Join(w.dir, "edge"), "--name", "edge-1",
		"--listen", w.edgeAddress, "--advertise", w.edgeAddress, "--status-listen", w.edgeStatus}
	w.edge, err = start(w.dir, "edge", append(w.edgeArgs, "--join", token)...)
	return err
}

// restartEdge kills the edge as a crash would and starts it again.
func (w *world) restartEdge() (time.Time, error) {
	w.edge.stop(syscall.SIGKILL)
	began := time.Now()
	var err error
	w.edge, err = start(w.dir, "edge", w.edgeArgs...)
	return began, err
}

// token makes a join token, as the command line does.
func (w *world) token(ctx context.Context, name string, role v1alpha1.JoinRole, service string, addresses []string) (string, error) {
	roots, err := identity.DecodeCertificates([]byte(w.info.Root))
	if err != nil {
		return "", err
	}
	token := identity.NewToken(name, addresses, roots[0])
	object := &v1alpha1.JoinToken{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.JoinTokenSpec{
		Role: role, Zone: zone, SecretSHA256: token.SecretSHA256(), Expires: metav1.NewTime(time.Now().Add(time.Hour)),
	}}
	if role != v1alpha1.JoinEdge {
		object.Spec.Workspace, object.Spec.Service = workspace, service
	}
	return token.String(), w.create(ctx, "jointokens", object)
}

// recruit makes tokens for n more proxies, spread over the services.
func (w *world) recruit(ctx context.Context, n int) ([]member, error) {
	var out []member
	for range n {
		i := w.members
		w.members++
		token, err := w.token(ctx, fmt.Sprintf("proxy-%04d", i), v1alpha1.JoinWorkload, serviceName(i), []string{w.edgeAddress})
		if err != nil {
			return nil, err
		}
		out = append(out, member{Token: token, Edge: w.edgeAddress, Port: 8080, Address: addressOf(i)})
	}
	return out, nil
}

func addressOf(i int) string {
	return fmt.Sprintf("10.1.%d.%d", i/250, i%250+1)
}

func (w *world) close() error {
	for _, p := range []*process{w.edge, w.hub} {
		if p != nil {
			p.stop(syscall.SIGTERM)
		}
	}
	return os.RemoveAll(w.dir)
}

package meshtest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

var bulk = flag.Int("bulk", Length(1000, 10000), "objects that TestObjectsInBulk applies at once")

// bulkWriters is how many objects are on their way at a time.
const bulkWriters = 16

// Thousands of objects applied at once: all are accepted, programmed by the edge, and said so.
func TestObjectsInBulk(t *testing.T) {
	w := New(t)
	zone := w.Zone("dc1")
	w.Workspace("bulk")
	api := w.client()
	hubBefore, edgeBefore := used(t, w.Hub().Process), used(t, zone.Edges[0].Process)
	began := time.Now()
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(bulkWriters)
	for i := range *bulk / 2 {
		name := fmt.Sprintf("s%05d", i)
		group.Go(func() error {
			return errors.Join(api.apply(ctx, "services", name, bulkService(name)), api.apply(ctx, "httproutes", name, bulkRoute(name)))
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	applied := time.Since(began)
	said := 0
	patient(t, 4*time.Minute, "every object says that it is programmed", func() (err error) {
		said, err = api.programmed(t.Context())
		if err == nil && said != *bulk/2*2 {
			err = fmt.Errorf("%d of %d", said, *bulk)
		}
		return err
	})
	memory, err := w.Hub().RSS()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d objects: applied in %v (%.0f a second), all programmed after %v; the hub has %d MB and used %v of processor, the edge %v",
		*bulk, applied.Round(time.Millisecond), float64(*bulk)/applied.Seconds(), time.Since(began).Round(time.Millisecond), memory>>20,
		used(t, w.Hub().Process)-hubBefore, used(t, zone.Edges[0].Process)-edgeBefore)
}

// used is what a program has used of processors so far.
func used(t *testing.T, p *Process) time.Duration {
	t.Helper()
	spent, err := ProcessorTime(p.PID())
	if err != nil {
		t.Fatal(err)
	}
	return spent
}

func patient(t *testing.T, patience time.Duration, what string, condition func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %v: %s: %v", patience, what, err)
		}
	}
}

func bulkService(name string) string {
	return fmt.Sprintf(`{"apiVersion":"isthmus.dev/v1alpha1","kind":"Service","metadata":{"name":%q,"namespace":"bulk"},
"spec":{"ports":[{"port":9080,"protocol":"http"}]}}`, name)
}

func bulkRoute(name string) string {
	return fmt.Sprintf(`{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","metadata":{"name":%q,"namespace":"bulk"},
"spec":{"parentRefs":[{"group":"isthmus.dev","kind":"Service","name":%q}],"rules":[{"backendRefs":[{"group":"isthmus.dev","kind":"Service","name":%q,"port":9080}]}]}}`, name, name, name)
}

// client is a Go program that administers the mesh.
type client struct {
	dynamic.Interface
	raw rest.Interface
}

// client connects to the hub from the desk.
func (w *World) client() client {
	w.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", w.Hub().Kubeconfig)
	if err != nil {
		w.t.Fatal(err)
	}
	config.Dial, config.QPS, config.Burst = w.Desk().DialContext, 100000, 100000
	api, err := dynamic.NewForConfig(config)
	if err != nil {
		w.t.Fatal(err)
	}
	discovery, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		w.t.Fatal(err)
	}
	return client{api, discovery.RESTClient()}
}

var bulkKinds = map[string]schema.GroupVersionResource{
	"services":   {Group: "isthmus.dev", Version: "v1alpha1", Resource: "services"},
	"httproutes": {Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"},
}

func (c client) apply(ctx context.Context, plural, name, object string) error {
	force := true
	_, err := c.Resource(bulkKinds[plural]).Namespace("bulk").Patch(ctx, name, types.ApplyPatchType, []byte(object),
		metav1.PatchOptions{FieldManager: "bulk", Force: &force})
	return err
}

// programmed counts the objects that every proxy concerned runs.
func (c client) programmed(ctx context.Context) (count int, err error) {
	for _, kind := range bulkKinds {
		list, err := c.Resource(kind).Namespace("bulk").List(ctx, metav1.ListOptions{})
		if err != nil {
			return 0, err
		}
		for _, o := range list.Items {
			if isProgrammed(o.Object) {
				count++
			}
		}
	}
	return count, nil
}

func isProgrammed(object map[string]any) bool {
	conditions, _, _ := unstructured.NestedSlice(object, "status", "conditions")
	if parents, _, _ := unstructured.NestedSlice(object, "status", "parents"); len(parents) > 0 {
		conditions, _, _ = unstructured.NestedSlice(parents[0].(map[string]any), "conditions")
	}
	return slices.ContainsFunc(conditions, func(c any) bool {
		condition := c.(map[string]any)
		return condition["type"] == "Programmed" && condition["status"] == "True"
	})
}

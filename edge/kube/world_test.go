package kube_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	networking "istio.io/api/networking/v1alpha3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/edge/kube"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	. "github.com/isthmus-mesh/isthmus/meshtest"
	cluster "github.com/isthmus-mesh/isthmus/meshtest/kube"
)

var virtualServices = schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"}

// zone is an edge's door to a cluster that runs, and what it told.
type zone struct {
	*kube.Cluster
	t       testing.TB
	cluster *cluster.Cluster
	name    string
	writes  atomic.Int32 // requests that change something, leases aside
	stop    func()

	mu          sync.Mutex
	inventories int
	workloads   map[string]*feedpb.Workload
	facts       *feedpb.Cluster
	rejected    map[string]*feedpb.Rejection
	resolved    int
	applied     []int64
	drifts      []kube.Drift
	conditions  map[string]*problem.Error
	tellings    map[string]int // of problems, by place
}

func newZone(t testing.TB, c *cluster.Cluster, name string, change ...func(*kube.Config)) *zone {
	t.Helper()
	z := &zone{t: t, cluster: c, name: name, workloads: map[string]*feedpb.Workload{}, rejected: map[string]*feedpb.Rejection{},
		conditions: map[string]*problem.Error{}, tellings: map[string]int{}}
	config := kube.Config{REST: rest.CopyConfig(c.REST), Zone: name, Events: z, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	for _, f := range change {
		f(&config)
	}
	config.REST.Wrap(func(next http.RoundTripper) http.RoundTripper { return counting{next, &z.writes} })
	var err error
	z.Cluster, err = kube.New(config)
	check(t, err)
	z.start()
	return z
}

func (z *zone) start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- z.Run(ctx) }()
	z.stop = sync.OnceFunc(func() { cancel(); check(z.t, <-done) })
	z.t.Cleanup(z.stop)
}

// counting counts what changes something.
type counting struct {
	next   http.RoundTripper
	writes *atomic.Int32
}

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet && !strings.Contains(r.URL.Path, "/leases") {
		c.writes.Add(1)
	}
	return c.next.RoundTrip(r)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Inventory implements [kube.Events].
func (z *zone) Inventory(all []*feedpb.Workload) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.inventories++
	clear(z.workloads)
	for _, w := range all {
		z.workloads[w.Name] = w
	}
}

// Workloads implements [kube.Events].
func (z *zone) Workloads(upserts []*feedpb.Workload, gone []string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, w := range upserts {
		z.workloads[w.Name] = w
	}
	for _, name := range gone {
		delete(z.workloads, name)
	}
}

// Facts implements [kube.Events].
func (z *zone) Facts(f *feedpb.Cluster) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.facts = f
}

// Rejected implements [kube.Events].
func (z *zone) Rejected(r *feedpb.Rejection) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if r.Resolved {
		z.resolved++
		delete(z.rejected, r.Resource)
		return
	}
	z.rejected[r.Resource] = r
}

// Applied implements [kube.Events].
func (z *zone) Applied(revision int64) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.applied = append(z.applied, revision)
}

// Acknowledged implements [kube.Events]; no zone here asks an istiod.
func (z *zone) Acknowledged(int64, []string) {}

// Gone implements [kube.Events].
func (z *zone) Gone([]string) {}

// Drifted implements [kube.Events].
func (z *zone) Drifted(d kube.Drift) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.drifts = append(z.drifts, d)
}

// Condition implements [kube.Events].
func (z *zone) Condition(place string, err *problem.Error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if err == nil {
		delete(z.conditions, place)
		return
	}
	z.conditions[place] = err
	z.tellings[place]++
}

// apply gives a revision and waits until the cluster has it.
func (z *zone) apply(revision int64, upserts []*feedpb.Resource, removed ...string) {
	z.t.Helper()
	_ = z.Apply(revision, upserts, removed) // what is wrong is among the rejections
	z.waitApplied(revision)
}

func (z *zone) waitApplied(revision int64) {
	z.t.Helper()
	Eventually(z.t, fmt.Sprintf("revision %d is applied", revision), func() error {
		if got := z.Cluster.Applied(); got != revision {
			return fmt.Errorf("at %d; conditions %v", got, z.told())
		}
		return nil
	})
}

func (z *zone) told() map[string]string {
	z.mu.Lock()
	defer z.mu.Unlock()
	all := map[string]string{}
	for place, err := range z.conditions {
		all[place] = err.Error()
	}
	return all
}

// waitRejected waits until a resource is refused with some words; without words until it is not.
func (z *zone) waitRejected(resource, words string) *feedpb.Rejection {
	z.t.Helper()
	var found *feedpb.Rejection
	Eventually(z.t, resource+" is rejected: "+words, func() error {
		z.mu.Lock()
		defer z.mu.Unlock()
		found = z.rejected[resource]
		if (found != nil) != (words != "") || !strings.Contains(found.GetMessage(), words) {
			return fmt.Errorf("rejection %v", found)
		}
		return nil
	})
	return found
}

// waitCondition waits for a problem, or for none.
func (z *zone) waitCondition(place string, want *problem.Problem) {
	z.t.Helper()
	Eventually(z.t, "condition of "+place, func() error {
		z.mu.Lock()
		defer z.mu.Unlock()
		got := z.conditions[place]
		if want == nil && got != nil || want != nil && (got == nil || got.Problem != *want) {
			return fmt.Errorf("it is %v", got)
		}
		return nil
	})
}

// waitDrift waits until a drift is told that is as wanted.
func (z *zone) waitDrift(what string, as func(kube.Drift) bool) kube.Drift {
	z.t.Helper()
	var found kube.Drift
	Eventually(z.t, what, func() error {
		z.mu.Lock()
		defer z.mu.Unlock()
		i := slices.IndexFunc(z.drifts, as)
		if i < 0 {
			return fmt.Errorf("among %v", z.drifts)
		}
		found = z.drifts[i]
		return nil
	})
	return found
}

// virtualService is a resource that answers every request with a redirect to the host, so that it needs nothing else.
func virtualService(t testing.TB, namespace, name, to string) *feedpb.Resource {
	t.Helper()
	return resource(t, "VirtualService/"+namespace+"/"+name, &networking.VirtualService{
		Hosts: []string{name + "." + namespace + ".mesh"},
		Http:  []*networking.HTTPRoute{{Redirect: &networking.HTTPRedirect{Authority: to}}},
	})
}

func resource(t testing.TB, name string, body proto.Message) *feedpb.Resource {
	t.Helper()
	packed, err := anypb.New(body)
	check(t, err)
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(body)
	check(t, err)
	return &feedpb.Resource{Name: name, Version: fmt.Sprintf("%x", raw), Body: packed,
		Origins: []*feedpb.Origin{{Kind: "HTTPRoute", Namespace: "shop", Name: "r", Field: "spec"}}}
}

// in is the cluster's virtual services of a namespace.
func in(c *cluster.Cluster, namespace string) dynamic.ResourceInterface {
	return c.Dynamic.Resource(virtualServices).Namespace(namespace)
}

// waitTarget waits until a virtual service leads to a host; empty means that there is none.
func (z *zone) waitTarget(namespace, name, host string) {
	z.t.Helper()
	Eventually(z.t, name+" leads to "+host, func() error {
		u, err := in(z.cluster, namespace).Get(z.t.Context(), name, metav1.GetOptions{})
		if err != nil {
			if host == "" {
				return nil
			}
			return err
		}
		if got := target(u); got != host {
			return errors.New("it leads to " + got)
		}
		return nil
	})
}

func target(u *unstructured.Unstructured) string {
	routes, _, _ := unstructured.NestedSlice(u.Object, "spec", "http")
	if len(routes) == 0 {
		return "nowhere"
	}
	to, _, _ := unstructured.NestedString(routes[0].(map[string]any), "redirect", "authority")
	return to
}

// namespaced makes a namespace.
func namespaced(c *cluster.Cluster, name string) {
	c.Apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name + "}")
}

func replace(text string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(text) }

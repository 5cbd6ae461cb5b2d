package kube_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/anypb"
	networking "istio.io/api/networking/v1alpha3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/edge/kube"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/meshtest"
	kubetest "github.com/isthmus-mesh/isthmus/meshtest/kube"
)

// world is a real API server, and the cluster that an edge makes of it with exactly the rights it asks for.
type world struct {
	*testing.T
	whole *testing.T // the test of which T may be a part
	*recorder
	server  *kubetest.Cluster
	cluster *kube.Cluster
	end     func()
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, whole: t, server: kubetest.Start(t)}
	w.server.InstallIstioCRDs()
	w.server.Apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}")
	w.start()
	return w
}

// start runs an edge's cluster anew, as after a restart of the edge.
func (w *world) start() {
	w.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", w.server.KubeconfigFor("isthmus", "edge", kube.Rules()))
	if err != nil {
		w.Fatal(err)
	}
	w.recorder = &recorder{refused: map[string]string{}, conditions: map[string]string{}, workloads: map[string]*feedpb.Workload{}}
	w.cluster, err = kube.New(kube.Config{REST: config, Zone: "prod-1", TrustDomain: "isthmus.local", Events: w.recorder,
		Now: time.Now, Log: slog.New(slog.NewTextHandler(w.whole.Output(), nil))})
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.cluster.Run(ctx) }()
	w.end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.Error(err)
		}
	})
	w.whole.Cleanup(w.end)
}

// recorder keeps what a cluster tells.
type recorder struct {
	mu         sync.Mutex
	applied    int64
	refused    map[string]string // message by resource
	drifts     []kube.Drift
	conditions map[string]string
	workloads  map[string]*feedpb.Workload
}

func (r *recorder) Applied(revision int64) { r.mu.Lock(); defer r.mu.Unlock(); r.applied = revision }

func (r *recorder) Rejected(rejection *feedpb.Rejection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rejection.Resolved {
		delete(r.refused, rejection.Resource)
		return
	}
	r.refused[rejection.Resource] = rejection.Message
}

func (r *recorder) Drifted(d kube.Drift) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drifts = append(r.drifts, d)
}

func (r *recorder) Condition(place string, err *problem.Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conditions, place)
	if err != nil {
		r.conditions[place] = err.Error()
	}
}

func (r *recorder) Workloads(upserts []*feedpb.Workload, gone []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range upserts {
		r.workloads[w.Name] = w
	}
	for _, name := range gone {
		delete(r.workloads, name)
	}
}

// eventually waits for something of what was told.
func (w *world) eventually(what string, is func() bool) {
	w.Helper()
	meshtest.Eventually(w, what, func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !is() {
			return fmt.Errorf("applied %d, refused %v, drifts %v, conditions %v, workloads %v", w.applied, w.refused, w.drifts, w.conditions, w.workloads)
		}
		return nil
	})
}

// apply gives the cluster a revision and waits until it is there.
func (w *world) apply(revision int64, upserts []*feedpb.Resource, removed ...string) {
	w.Helper()
	w.cluster.Apply(revision, upserts, removed)
	w.eventually(fmt.Sprintf("revision %d is applied", revision), func() bool { return w.applied == revision })
}

// service is a resource: a VirtualService of a host.
func service(name, host string) *feedpb.Resource {
	return serviceIn("shop", name, host)
}

func serviceIn(namespace, name, host string) *feedpb.Resource {
	body, err := anypb.New(&networking.VirtualService{
		Hosts: []string{host},
		Http:  []*networking.HTTPRoute{{Route: []*networking.HTTPRouteDestination{{Destination: &networking.Destination{Host: host}}}}},
	})
	if err != nil {
		panic(err)
	}
	return &feedpb.Resource{Name: "VirtualService/" + namespace + "/" + name, Version: "version-of-" + host, Body: body,
		Origins: []*feedpb.Origin{{Kind: "HTTPRoute", Namespace: "shop", Name: name, Field: "spec.rules[0]"}}}
}

func (w *world) client(namespace string) dynamic.ResourceInterface {
	return w.server.Dynamic.Resource(schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"}).Namespace(namespace)
}

// get reads a VirtualService; nil if there is none.
func (w *world) get(name string) *unstructured.Unstructured {
	o, err := w.client("shop").Get(w.Context(), name, metav1.GetOptions{})
	if err != nil {
		return nil
	}
	return o
}

func (w *world) hosts(name string) string {
	o := w.get(name)
	if o == nil {
		return ""
	}
	hosts, _, _ := unstructured.NestedStringSlice(o.Object, "spec", "hosts")
	return strings.Join(hosts, ",")
}

// eventuallyHost waits until the cluster has the host of a VirtualService; "" waits until it has none.
func (w *world) eventuallyHost(name, host string) {
	w.Helper()
	meshtest.Eventually(w, name+" leads to "+host, func() error {
		if got := w.hosts(name); got != host {
			return fmt.Errorf("it leads to %q", got)
		}
		return nil
	})
}

// foreign makes an object that is somebody else's.
func (w *world) foreign(name, host string) {
	w.server.Apply(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {namespace: shop, name: ` + name + `}
spec: {hosts: [` + host + `], http: [{route: [{destination: {host: ` + host + `}}]}]}`)
}

func (w *world) told(drift string) bool {
	return slices.ContainsFunc(w.drifts, func(d kube.Drift) bool { return d.Resource == drift })
}

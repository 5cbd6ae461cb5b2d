package hub_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/hub"
	"github.com/isthmus-mesh/isthmus/identity"
)

// patience is how long a condition is waited for, on a slow machine that does other things too.
const patience = 2 * time.Minute

// world is a running hub, and an administrator.
type world struct {
	t       testing.TB
	dir     string
	clock   clock
	info    hub.Info
	client  dynamic.Interface
	metrics *prometheus.Registry
	stop    func()
}

// newWorld starts a hub with an empty directory.
func newWorld(t testing.TB) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "hub") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &world{t: t, dir: dir}
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

// start runs a hub on the world's directory and waits until it is ready.
func (w *world) start() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan hub.Info, 1), make(chan error, 1)
	w.metrics = prometheus.NewRegistry()
	config := hub.Config{
		DataDir: w.dir, Listen: "127.0.0.1:0", FeedListen: "127.0.0.1:0", Metrics: w.metrics, Now: w.clock.now,
		Log: slog.New(slog.NewTextHandler(testWriter{w.t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	go func() { ended <- hub.Run(ctx, config, func(i hub.Info) { ready <- i }) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("hub ended with %v", err)
		}
	})
	select {
	case w.info = <-ready:
	case err := <-ended:
		w.t.Fatalf("hub did not start: %v", err)
	case <-time.After(patience):
		w.t.Fatal("hub is not ready")
	}
	w.dial()
}

func (w *world) dial() {
	w.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", w.info.Kubeconfig)
	if err != nil {
		w.t.Fatal(err)
	}
	config.QPS, config.Burst = 10000, 10000
	if w.client, err = dynamic.NewForConfig(config); err != nil {
		w.t.Fatal(err)
	}
}

// resources are those of the kinds that tests apply.
var resources = map[string]schema.GroupVersionResource{
	"Workspace":     {Group: "isthmus.dev", Version: "v1alpha1", Resource: "workspaces"},
	"Zone":          {Group: "isthmus.dev", Version: "v1alpha1", Resource: "zones"},
	"JoinToken":     {Group: "isthmus.dev", Version: "v1alpha1", Resource: "jointokens"},
	"Service":       {Group: "isthmus.dev", Version: "v1alpha1", Resource: "services"},
	"TrafficPolicy": {Group: "isthmus.dev", Version: "v1alpha1", Resource: "trafficpolicies"},
	"HTTPRoute":     {Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"},
	"Gateway":       {Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"},
	"GatewayClass":  {Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gatewayclasses"},
	"ConfigMap":     {Version: "v1", Resource: "configmaps"},
	"Workload":      {Group: "view.isthmus.dev", Version: "v1alpha1", Resource: "workloads"},
}

// apply applies YAML documents as kubectl apply --server-side does.
func (w *world) apply(text string) {
	w.t.Helper()
	for document := range strings.SplitSeq(text, "\n---\n") {
		o := parse(w.t, document)
		// The namespace of a workspace made just before may be on its way.
		w.eventually(o.GetKind()+" "+o.GetName()+" is applied", func() error { return w.tryPut(o) })
	}
}

func parse(t testing.TB, document string) *unstructured.Unstructured {
	t.Helper()
	var o unstructured.Unstructured
	if err := yaml.Unmarshal([]byte(document), &o.Object); err != nil {
		t.Fatal(err)
	}
	return &o
}

func (w *world) tryPut(o *unstructured.Unstructured) error {
	_, err := w.client.Resource(resources[o.GetKind()]).Namespace(o.GetNamespace()).Apply(context.Background(), o.GetName(), o,
		metav1.ApplyOptions{FieldManager: "test", Force: true})
	return err
}

// get reads an object; it is empty if there is none.
func (w *world) get(kind, namespace, name string) *unstructured.Unstructured {
	o, err := w.client.Resource(resources[kind]).Namespace(namespace).Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		return &unstructured.Unstructured{Object: map[string]any{}}
	}
	return o
}

// condition is a condition of an object's newest generation, as kubectl wait finds it.
func (w *world) condition(kind, namespace, name, condition string) (status, message string) {
	return conditionIn(*w.get(kind, namespace, name), condition)
}

func conditionIn(o unstructured.Unstructured, condition string) (status, message string) {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range conditions {
		c := c.(map[string]any)
		observed, known := c["observedGeneration"].(int64)
		if c["type"] == condition && (!known || observed == o.GetGeneration()) {
			return c["status"].(string), fmt.Sprint(c["message"])
		}
	}
	return "", fmt.Sprintf("no condition %s of the newest generation in %v", condition, o.Object["status"])
}

// becomes waits until a condition has a status, and returns its message.
func (w *world) becomes(kind, namespace, name, condition, status string) (message string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%s %s/%s is %s=%s", kind, namespace, name, condition, status), func() error {
		var got string
		if got, message = w.condition(kind, namespace, name, condition); got != status {
			return fmt.Errorf("it is %q: %s", got, message)
		}
		return nil
	})
	return message
}

// is checks what a condition is now.
func (w *world) is(kind, namespace, name, condition, want string) {
	w.t.Helper()
	if got, message := w.condition(kind, namespace, name, condition); got != want {
		w.t.Errorf("%s %s/%s: %s is %q, want %q: %s", kind, namespace, name, condition, got, want, message)
	}
}

// eventually waits until check finds nothing wrong.
func (w *world) eventually(what string, check func() error) {
	w.t.Helper()
	tick, end := time.NewTicker(10*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			w.t.Fatalf("waited in vain for: %s: %v", what, err)
		}
	}
}

// token makes a join token object and returns what its bearer would be given.
func (w *world) token(name, spec string) identity.Token {
	w.t.Helper()
	t := identity.NewToken(name, w.info.FeedAddresses, w.info.Root)
	expires := w.clock.now().Add(time.Hour).UTC().Format(time.RFC3339)
	if !strings.Contains(spec, "expires:") {
		spec += ", expires: " + expires
	}
	w.apply(fmt.Sprintf("{apiVersion: isthmus.dev/v1alpha1, kind: JoinToken, metadata: {name: %s}, spec: {%s, secretSHA256: %s}}", name, spec, t.SecretSHA256()))
	return t
}

// clock is the hub's; tests may move it.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

// testWriter sends the hub's warnings to the test's log.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(line []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(line)))
	return len(line), nil
}

// edge is an edge with proxies that acknowledge at once, unless held.
type edge struct {
	w      *world
	name   string
	own    *tls.Certificate
	roots  []*x509.Certificate
	client *feed.Client
	stop   func()
	// arrivals are the times at which resources came.
	arrivals chan time.Time

	mu        sync.Mutex // guards what follows
	workloads []*feedpb.Workload
	revision  int64
	resources map[string]*feedpb.Resource
	removed   []string
	held      map[string]int64 // proxies that do not acknowledge, and where they are
	rejects   *feedpb.Rejection
}

// join admits an edge to zone dc1 with a token of its own, and connects it.
func (w *world) join(name string, workloads ...*feedpb.Workload) *edge {
	w.t.Helper()
	token := w.token("join-"+name, "role: edge, zone: dc1")
	e := &edge{w: w, name: name, workloads: workloads, resources: map[string]*feedpb.Resource{}, held: map[string]int64{}, arrivals: make(chan time.Time, 1000)}
	response, key, err := admit(w, token, name)
	if err != nil {
		w.t.Fatal(err)
	}
	if e.own, err = identity.Chain(key, response.Certificates); err != nil {
		w.t.Fatal(err)
	}
	if e.roots, err = identity.ParseCertificates(response.Roots); err != nil {
		w.t.Fatal(err)
	}
	e.connect()
	w.t.Cleanup(func() { e.stop() })
	return e
}

// Certificate and Roots make the edge an [identity.Source].
func (e *edge) Certificate() *tls.Certificate { return e.own }

// Roots are the mesh's.
func (e *edge) Roots() []*x509.Certificate { return e.roots }

func onlyHub(id identity.ID) error {
	if !id.IsHub() {
		return fmt.Errorf("%s is not the hub", id)
	}
	return nil
}

// connect runs the edge's end of the feed until stop.
func (e *edge) connect() {
	ctx, cancel := context.WithCancel(context.Background())
	e.client = feed.NewClient(feed.ClientConfig{
		Addresses: e.w.info.FeedAddresses, Zone: "dc1", Edge: e.name, Version: "test", Advertise: []string{e.name + ":15012"},
		TLS:  func() *tls.Config { return identity.ClientTLS(e, e.w.clock.now, onlyHub) },
		Have: e.have, Apply: e.apply, Inventory: e.inventory, Log: slog.New(slog.DiscardHandler),
		Backoff: func(int) time.Duration { return 20 * time.Millisecond },
	})
	ended := make(chan struct{})
	go func() { defer close(ended); e.client.Run(ctx) }()
	e.stop = sync.OnceFunc(func() { cancel(); <-ended })
}

func (e *edge) have() (int64, map[string]string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	versions := map[string]string{}
	for name, r := range e.resources {
		versions[name] = r.Version
	}
	return e.revision, versions
}

// apply takes a revision; every proxy that is not held acknowledges it.
func (e *edge) apply(_ context.Context, r feed.Revision) error {
	if len(r.Upserts) > 0 {
		select {
		case e.arrivals <- time.Now():
		default: // nobody reads them
		}
	}
	e.mu.Lock()
	for _, u := range r.Upserts {
		e.resources[u.Name] = u
	}
	for _, name := range r.Removed {
		delete(e.resources, name)
	}
	e.removed = append(e.removed, r.Removed...)
	e.revision = r.Number
	e.mu.Unlock()
	e.client.Report(e.news())
	return nil
}

func (e *edge) news() *feedpb.ReportRequest {
	e.mu.Lock()
	defer e.mu.Unlock()
	news := &feedpb.ReportRequest{Receipts: e.receipts()}
	if e.rejects != nil {
		news.Rejections = []*feedpb.Rejection{e.rejects}
	}
	return news
}

func (e *edge) receipts() []*feedpb.Receipt {
	var receipts []*feedpb.Receipt
	for _, w := range e.workloads {
		revision := e.revision
		if at, held := e.held[w.Name]; held {
			revision = at
		}
		receipts = append(receipts, &feedpb.Receipt{Revision: revision, Proxies: []string{w.Name}})
	}
	return receipts
}

func (e *edge) inventory() *feedpb.ReportRequest {
	report := e.news()
	e.mu.Lock()
	defer e.mu.Unlock()
	report.Workloads = slices.Clone(e.workloads)
	return report
}

// hold keeps a proxy at the revision it has; release lets all go on.
func (e *edge) hold(proxy string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held[proxy] = e.revision
}

func (e *edge) release() {
	e.mu.Lock()
	clear(e.held)
	e.mu.Unlock()
	e.client.Report(e.news())
}

// reject has the edge report a rejection, or its end, now and in every later report.
func (e *edge) reject(r *feedpb.Rejection) {
	e.mu.Lock()
	e.rejects = r
	e.mu.Unlock()
	e.client.Report(e.news())
}

// names are the resources the edge has.
func (e *edge) names() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.resources))
}

func workload(name, version string) *feedpb.Workload {
	return &feedpb.Workload{
		Name: name, Workspace: "shop", Service: "reviews", Version: version, Healthy: true, Connected: true, Role: "sidecar",
		Addresses: []string{"10.0.0.1"}, Ports: []*feedpb.Port{{Port: 9080, Protocol: "http"}},
	}
}

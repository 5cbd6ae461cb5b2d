package inventory_test

import (
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	viewv1 "github.com/isthmus-mesh/isthmus/api/view/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/hub/inventory"
)

// world is an inventory with a clock that stands still, views that can be read and events that are kept.
type world struct {
	*inventory.Inventory
	t         *testing.T
	file      string
	time      time.Time
	events    *events
	workloads view[*viewv1.Workload]
	proxies   view[*viewv1.Proxy]
	services  view[*viewv1.DiscoveredService]
	revisions view[*viewv1.Revision]
}

const linger = 10 * time.Minute

func newWorld(t *testing.T) *world {
	w := &world{t: t, file: filepath.Join(t.TempDir(), "discovered.json"), time: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	w.open()
	return w
}

// open begins a new run of the hub with the same file.
func (w *world) open() {
	w.t.Helper()
	w.events = &events{}
	w.workloads, w.proxies = view[*viewv1.Workload]{}, view[*viewv1.Proxy]{}
	w.services, w.revisions = view[*viewv1.DiscoveredService]{}, view[*viewv1.Revision]{}
	var err error
	w.Inventory, err = inventory.Open(inventory.Config{
		File: w.file, Linger: linger, Events: w.events, Now: func() time.Time { return w.time }, Log: slog.New(slog.DiscardHandler),
		Views: inventory.Views{Workloads: w.workloads, Proxies: w.proxies, Services: w.services, Revisions: w.revisions},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// connect has an edge listen and report all it knows.
func (w *world) connect(edge string, workloads ...*feedpb.Workload) {
	w.EdgeConnected("dc1", edge, &feedpb.ConfigureRequest_Hello{Zone: "dc1", Edge: edge, Advertise: []string{edge + ":15012"}})
	w.Report("dc1", edge, &feedpb.ReportRequest{Reset_: true, Workloads: workloads, ConditionsSet: true})
}

// taken are the services that changed, by name; nil for those that are gone.
func (w *world) taken() map[string]*compiler.Discovered {
	taken := map[string]*compiler.Discovered{}
	for _, change := range w.Take() {
		if change.Kind != compiler.KindDiscovered {
			continue
		}
		d, _ := change.Object.(*compiler.Discovered)
		taken[change.Namespace+"/"+change.Name] = d
	}
	return taken
}

// workload is a healthy, connected one of shop/reviews.
func workload(name, version string) *feedpb.Workload {
	return &feedpb.Workload{
		Name: name, Workspace: "shop", Service: "reviews", Version: version, Healthy: true, Connected: true,
		Ports: []*feedpb.Port{{Port: 9080, Protocol: "http"}}, Role: "sidecar",
	}
}

type events struct {
	mu       sync.Mutex
	rejected []inventory.Object
	zones    int
	progress int
}

func (e *events) Progressed(string) { e.mu.Lock(); e.progress++; e.mu.Unlock() }

func (e *events) ZoneChanged(string) { e.mu.Lock(); e.zones++; e.mu.Unlock() }

func (e *events) Rejected(objects []inventory.Object) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rejected = append(e.rejected, objects...)
}

// view is what users would see, by name.
type view[T metav1.Object] map[string]T

func (v view[T]) Set(objects ...T) {
	for _, o := range objects {
		v[key(o.GetNamespace(), o.GetName())] = o
	}
}

func (v view[T]) Delete(names ...types.NamespacedName) {
	for _, n := range names {
		delete(v, key(n.Namespace, n.Name))
	}
}

func (v view[T]) names() []string {
	var names []string
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func key(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

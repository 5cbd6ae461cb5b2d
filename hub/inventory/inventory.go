package inventory

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/isthmus-mesh/isthmus/compiler"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// Config is what an [Inventory] needs. All fields are required.
type Config struct {
	// File keeps the shapes of services over restarts.
	File string
	// Linger is how long a shape stays after its last workload left.
	Linger time.Duration
	// Events are told what others act upon.
	Events Events
	Views  Views
	// Now is the clock of Linger.
	Now func() time.Time
	Log *slog.Logger
}

// Events is told what changed. Its methods are called by the goroutine that brought the change, in
// the order of that edge's reports, and must not block.
type Events interface {
	// Progressed says that proxies or edges of a zone accepted a revision, or that some are gone.
	Progressed(zone string)
	// Rejected says that the refusals which concern these objects changed.
	Rejected(objects []Object)
	// ZoneChanged says that a zone's edges, or what they say of themselves, changed.
	ZoneChanged(zone string)
}

// Object names an object of intent.
type Object struct{ Kind, Namespace, Name string }

// Inventory is what the zones report.
type Inventory struct {
	config  Config
	changed chan struct{}
	saved   int64 // revision of the file that Open read

	mu       sync.Mutex // guards what follows
	views    *display
	zones    map[string]*zoneRecord
	shapes   *shapes
	edges    roll[compiler.Edges]
	gateways roll[compiler.DiscoveredGateways]
	refusals *refusals
}

// zoneRecord is one zone's part. Guarded by the Inventory's mutex.
type zoneRecord struct {
	edges     map[string]*edgeRecord
	workloads map[string]*workload
	proxies   map[string]proxy
	published int64
	cluster   *cluster // nil while nobody said whether the zone is one
	// gateways were found in the cluster when it was heard of last; nil for none.
	gateways *compiler.DiscoveredGateways
	// idle are the cluster's services without pods.
	idle []*feedpb.Workload
}

type edgeRecord struct {
	// connected is whether a configuration stream is open; reported, whether it told all it has of the
	// zone's workloads since this hub started.
	connected, reported bool
	accepted            int64
	gone                time.Time // when it was connected last; of no meaning while it is
	advertise           []string
	version             string
	conditions          []*feedpb.Condition
	// refused is the newest revision it did not apply; nil once it applied one.
	refused *feedpb.Condition
}

// workload is a workload and the edge that answers for it.
type workload struct {
	edge string
	said *feedpb.Workload
}

// proxy is a connected proxy: the edge it takes configuration from and the newest revision acknowledged.
type proxy struct {
	edge     string
	revision int64
}

// Open makes an inventory that knows the shapes an earlier run saved.
func Open(config Config) (*Inventory, error) {
	file, err := load(config.File)
	if err != nil {
		return nil, err
	}
	i := &Inventory{
		config: config, changed: make(chan struct{}, 1), saved: file.Revision, views: newDisplay(),
		zones: map[string]*zoneRecord{}, shapes: newShapes(config.Now, file.Services), refusals: newRefusals(),
		edges: newRoll[compiler.Edges](), gateways: newRoll[compiler.DiscoveredGateways](),
	}
	i.restore(file.Zones)
	i.notify()
	return i, nil
}

// Saved is the revision that an earlier run saved last; 0 without one.
func (i *Inventory) Saved() int64 { return i.saved }

// Run keeps the views up to date and lets shapes go that linger no longer, until ctx ends.
func (i *Inventory) Run(ctx context.Context) error {
	show, proxies, sweep := time.NewTicker(showEvery), time.NewTicker(showProxiesEvery), time.NewTicker(sweepEvery)
	defer show.Stop()
	defer proxies.Stop()
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-show.C:
			i.show()
		case <-proxies.C:
			i.showProxies()
		case <-sweep.C:
			i.Sweep()
		}
	}
}

// sweepEvery is how often shapes are looked at that may have lingered long enough.
const sweepEvery = 10 * time.Second

// Sweep lets go of shapes that nobody gave for longer than Linger, in zones that have an edge to
// tell: while no edge reports, nothing is known to be gone. It also forgets edges that have been away for a day.
func (i *Inventory) Sweep() {
	for _, zone := range i.expire() {
		i.config.Events.ZoneChanged(zone)
	}
}

func (i *Inventory) expire() (fewerEdges []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.shapes.expire(i.config.Linger, i.reporting) {
		i.notify()
	}
	return i.strike()
}

// reporting tells whether a zone has an edge that is connected and has reported.
func (i *Inventory) reporting(name string) bool {
	z := i.zones[name]
	if z == nil {
		return false
	}
	for _, e := range z.edges {
		if e.connected && e.reported {
			return true
		}
	}
	return false
}

// Changed receives when [Inventory.Take] may have something; it does so once at the start.
func (i *Inventory) Changed() <-chan struct{} { return i.changed }

func (i *Inventory) notify() {
	select {
	case i.changed <- struct{}{}:
	default:
	}
}

// Forget drops a zone that was deleted.
func (i *Inventory) Forget(name string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	z := i.zones[name]
	if z == nil {
		return
	}
	for _, w := range z.workloads {
		i.lost(name, w)
	}
	delete(i.zones, name)
	if i.shapes.drop(name) {
		i.notify()
	}
	i.enrol(name)
	i.views.revision(name)
}

func (i *Inventory) zone(name string) *zoneRecord {
	z := i.zones[name]
	if z == nil {
		z = &zoneRecord{edges: map[string]*edgeRecord{}, workloads: map[string]*workload{}, proxies: map[string]proxy{}}
		i.zones[name] = z
	}
	return z
}

func (z *zoneRecord) edge(name string) *edgeRecord {
	e := z.edges[name]
	if e == nil {
		e = &edgeRecord{}
		z.edges[name] = e
	}
	return e
}

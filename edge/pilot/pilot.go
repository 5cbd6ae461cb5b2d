package pilot

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/xds"
	"istio.io/istio/pkg/config/mesh/meshwatcher"
	"istio.io/istio/pkg/kube/krt"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// Config is what a Pilot needs to know; every field is required unless it says otherwise.
type Config struct {
	// Zone is the name of the edge's zone.
	Zone string
	// Network, Region and Locality place the zone's workloads: endpoints of other networks are reached
	// through gateways, and locality failover compares region and locality. Empty Network, Region or
	// Locality mean the zone's name.
	Network, Region, Locality string
	// TrustDomain is the trust domain of all identities.
	TrustDomain string
	// Dir keeps what proxies refused over restarts. It is made when missing.
	Dir string
	// Events learns what proxies answer.
	Events Events
	Log    *slog.Logger
}

// Events is told what proxies make of their configuration: in order, from one goroutine, without any
// lock held. A call that takes long delays later events, nothing else.
type Events interface {
	// Receipt says that the proxies have acknowledged everything of the revision and all before it.
	Receipt(revision int64, proxies []string)
	// Gone says that a proxy's last stream ended.
	Gone(proxy string)
	// Rejected says that a resource was refused by a proxy (or by validation: then Proxy is empty), or,
	// when Resolved, that it no longer is. Resource is empty when the fault is the proxy's own, for
	// instance a port in use.
	Rejected(r *feedpb.Rejection)
}

// Pilot serves the zone's proxies. Its methods may be called from any goroutine.
type Pilot struct {
	cfg Config
	log *slog.Logger
	place
	env      *model.Environment
	xds      *xds.DiscoveryServer
	sharing  *sharing
	store    *store
	registry *registry
	secrets  *secrets
	streams  *streams
	events   *outbox
	trouble  *queue[trouble]
	refusals *refusals
	stop     chan struct{}

	mu        sync.Mutex // guards the rest; taken before any other lock
	resources map[string]*entry
	revision  int64
	epoch     uint64
	explicit  *explicits
	mesh      krt.StaticSingleton[meshwatcher.MeshConfigResource]
	federated []string
	trial     trial
	righted   righted

	// judge is trial's, to be compared by streams.
	judge atomic.Pointer[stream]
	// current is what a proxy that connects now gets.
	current atomic.Pointer[activation]
}

// New makes a Pilot with what earlier runs remembered as refused. It serves nothing before [Pilot.Run].
// A process can have only one Pilot at a time: Istio keeps settings in package variables.
func New(cfg Config) (*Pilot, error) {
	setFeatures()
	refusals, err := openRefusals(cfg.Dir)
	if err != nil {
		return nil, err
	}
	p := &Pilot{
		cfg: cfg, log: cfg.Log,
		place: place{
			zone: cfg.Zone, network: cmp.Or(cfg.Network, cfg.Zone), region: cmp.Or(cfg.Region, cfg.Zone),
			locality: cmp.Or(cfg.Locality, cfg.Zone), trustDomain: cfg.TrustDomain,
		},
		events: newOutbox(), trouble: newQueue[trouble](), refusals: refusals, stop: make(chan struct{}),
		resources: map[string]*entry{}, explicit: &explicits{named: map[string]*explicitSidecar{}},
	}
	p.streams = newStreams()
	return p, p.build()
}

// Run works until the context ends. It returns nil.
func (p *Pilot) Run(ctx context.Context) error {
	p.xds.Start(p.stop)
	var running sync.WaitGroup
	running.Go(func() { p.events.run(ctx, p.cfg.Events) })
	running.Go(func() { p.contain(ctx) })
	<-ctx.Done()
	running.Wait()
	p.streams.closeAll("the edge is shutting down")
	close(p.stop)
	p.store.virtualServices.finish()
	p.xds.Shutdown()
	return nil
}

// Register serves Envoy's aggregated discovery service, delta only, on the server, which must
// ask for client certificates and verify them.
func (p *Pilot) Register(s *grpc.Server) { registerDiscovery(s, p) }

// SetWorkloads changes the table of workloads: those given are new or replace the one of their name,
// those named are gone. A change of health alone sends proxies nothing but endpoints. After a start, the
// workloads remembered must be set before the first [Pilot.Apply], which opens the door to proxies.
func (p *Pilot) SetWorkloads(upserts []Workload, gone []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	keys, reshaped := p.registry.setWorkloads(upserts, gone)
	if len(reshaped) > 0 || p.unknownExplicit(upserts) {
		keys = keys.Union(p.renderExplicit())
	}
	if len(keys) > 0 {
		p.push(keys, model.EndpointUpdate)
	}
	for _, name := range reshaped {
		p.streams.close(name, "the workload changed")
	}
}

// Federate has proxies accept peers of other trust domains than the mesh's, and of no more than these. Whether a peer
// is whom it says is for the roots that agents give Envoy.
func (p *Pilot) Federate(domains []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.Equal(domains, p.federated) {
		return
	}
	p.federated = domains
	p.mesh.Set(&meshwatcher.MeshConfigResource{MeshConfig: meshConfig(p.trustDomain, domains)})
	p.pushAll()
}

// unknownExplicit tells whether one of them needs listeners that were never rendered. Caller holds mu.
func (p *Pilot) unknownExplicit(workloads []Workload) bool {
	return slices.ContainsFunc(workloads, func(w Workload) bool { return w.isExplicit() && p.explicit.named[w.Name] == nil })
}

// Receipts returns the newest revision that each connected proxy has acknowledged; 0 for none yet.
func (p *Pilot) Receipts() map[string]int64 { return p.streams.receipts() }

// Rejections returns what is refused now, sorted by resource.
func (p *Pilot) Rejections() []*feedpb.Rejection { return p.refusals.list() }

// Refused returns how many streams were refused since the start, by gRPC code.
func (p *Pilot) Refused() map[codes.Code]int { return p.streams.refusals() }

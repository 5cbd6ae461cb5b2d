package edge

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/edge/admission"
	"github.com/isthmus-mesh/isthmus/edge/kube"
	"github.com/isthmus-mesh/isthmus/edge/pilot"
	"github.com/isthmus-mesh/isthmus/edge/preflight"
	"github.com/isthmus-mesh/isthmus/edge/roster"
	"github.com/isthmus-mesh/isthmus/edge/siblings"
	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
)

// edge is a running edge's parts.
type edge struct {
	config     Config
	listener   net.Listener
	wallet     *wallet
	files      *files
	conditions *conditions
	status     *status
	refusals   *admission.Refusals
	zone       *zone
	roster     *roster.Roster
	siblings   *siblings.Siblings
	paths      *preflight.Paths
	client     *feed.Client
	pilot      *pilot.Pilot // set before the roster runs
	// cluster and drifts are those of a zone that is one; then there is no listener, roster, sibling or pilot.
	cluster *kube.Cluster
	drifts  *drifts
}

// Run runs an edge until ctx ends, and then returns nil. Without a configuration on disk it waits for
// the hub's first one before it serves agents. A process can run one edge.
func Run(ctx context.Context, config Config) error {
	config, err := config.withDefaults()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(config.DataDir, 0o700); err != nil {
		return fmt.Errorf("the edge's data directory: %w", err)
	}
	unlock, err := lock(config.DataDir)
	if err != nil {
		return err
	}
	defer unlock()
	e := &edge{config: config}
	if !config.inKubernetes() {
		if e.listener, err = listen(config.Listen); err != nil {
			return err
		}
		defer e.listener.Close()
	}
	if err := e.join(ctx); err != nil {
		return ignoreEnd(ctx, err)
	}
	defer e.wallet.journal.Close()
	if err := e.assemble(); err != nil {
		return err
	}
	defer e.files.close()
	return ignoreEnd(ctx, e.run(ctx))
}

// join makes sure that the edge has credentials.
func (e *edge) join(ctx context.Context) (err error) {
	if e.wallet, err = openWallet(filepath.Join(e.config.DataDir, "credentials"), e.config.Now); err != nil {
		return err
	}
	if err := e.wallet.join(ctx, e.config); err != nil {
		return errors.Join(err, e.wallet.journal.Close())
	}
	c := e.wallet.newest.Load()
	e.config.Log = e.config.Log.With("zone", c.zone, "edge", c.name)
	if e.config.HubAddresses == nil {
		e.config.HubAddresses = c.hub
	}
	if e.config.Advertise == nil && e.listener != nil {
		e.config.Advertise = []string{e.listener.Addr().String()}
	}
	return nil
}

// assemble opens the files and makes the parts that do not need the first configuration.
func (e *edge) assemble() (err error) {
	e.conditions = &conditions{byPlace: map[string]*problem.Error{}, changed: func() { e.reportConditions() }}
	e.status = &status{conditions: e.conditions, metrics: prometheus.NewRegistry()}
	e.refusals = admission.NewRefusals(e.config.Log, e.status.metrics)
	c := e.wallet.newest.Load()
	e.client = feed.NewClient(feed.ClientConfig{
		Addresses: e.config.HubAddresses, TLS: func() *tls.Config { return identity.ClientTLS(e.wallet, e.config.Now, onlyHub) },
		Zone: c.zone, Edge: c.name, Version: e.config.Version, Advertise: e.config.Advertise,
		Have:      func() (int64, map[string]string) { return e.files.bundle.Versions() },
		Apply:     func(ctx context.Context, r feed.Revision) error { return e.zone.Apply(ctx, r) },
		Inventory: e.inventory, Changed: e.hubChanged, Log: e.config.Log,
	})
	if e.files, err = openFiles(e.config, e.conditions); err != nil {
		return err
	}
	e.zone = newZone(c.zone, e.files.bundle, e.conditions, e.files.saved("bundle"))
	e.paths = preflight.New(preflight.Config{Zone: c.zone, Blocked: func(address string, err *problem.Error) {
		e.conditions.set("Path/"+address, err)
	}})
	e.zone.follow(func(info *feedpb.ZoneInfo) { e.paths.Set(info.Paths) })
	if e.config.inKubernetes() {
		return e.assembleCluster()
	}
	e.roster, err = roster.New(e.rosterConfig())
	e.files.damaged("workloads", err)
	e.siblings = siblings.New(siblings.Config{Name: c.name, TLS: e.siblingTLS, Roster: e.roster, Log: e.config.Log})
	e.zone.follow(func(info *feedpb.ZoneInfo) { e.meet(info.Edges) })
	e.zone.follow(e.announceTrust())
	return nil
}

func (e *edge) place() admission.Zone {
	c := e.wallet.newest.Load()
	return admission.Zone{Name: c.zone, TrustDomain: c.trustDomain}
}

// edges are the addresses of the zone's edges, this one's first.
func (e *edge) edges() []string {
	return append(slices.Clone(e.config.Advertise), e.siblings.Addresses()...)
}

// meet takes in which edges the zone has.
func (e *edge) meet(edges []*feedpb.ZoneEdge) {
	if e.siblings.Set(edges) {
		e.roster.Announce()
	}
}

// siblingTLS accepts nobody but the sibling of that name at the other end.
func (e *edge) siblingTLS(name string) *tls.Config {
	c := e.wallet.newest.Load()
	sibling := identity.Edge(c.trustDomain, c.zone, name)
	return identity.ClientTLS(e.wallet, e.config.Now, func(id identity.ID) error {
		if id != sibling {
			return problem.PeerUntrusted.Because("%s is not %s", id, sibling)
		}
		return nil
	})
}

// settle returns when the proxies of all edges have acknowledged everything published before.
func (e *edge) settle(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return e.pilot.WaitAcknowledged(ctx) })
	group.Go(func() error { return e.siblings.Settle(ctx) })
	return group.Wait()
}

func (e *edge) rosterConfig() roster.Config {
	return roster.Config{
		Zone: e.place(), Journal: e.files.workloads, Saved: e.files.saved("workloads"),
		Publish: func(upserts []*roster.Workload, gone []string) { e.zone.publish(e.pilot, upserts, gone) },
		NodeID:  func(w *roster.Workload) string { return e.pilot.NodeID(toPilot(w)) },
		Settle:  e.settle,
		Report:  e.client.Report, Edges: e.edges, Federated: e.zone.federated, Lease: e.config.Lease, Forget: e.config.Forget,
		Now: e.config.Now, Refusals: e.refusals, Log: e.config.Log, Metrics: e.status.metrics,
	}
}

// run starts everything and ends everything when one part fails or ctx ends. Pilot ends last: the others
// may be in the middle of giving it something.
func (e *edge) run(ctx context.Context) error {
	outlast, stop := context.WithCancel(context.WithoutCancel(ctx))
	var last sync.WaitGroup
	defer last.Wait()
	defer stop()
	start := func(p *pilot.Pilot) { last.Go(func() { _ = p.Run(outlast) }) } // it fails only with outlast
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return e.client.Run(ctx) })
	group.Go(func() error {
		return e.wallet.renew(ctx, e.client, func(p *problem.Error) { e.conditions.set("Certificate", p) })
	})
	group.Go(func() error { return e.files.retry(ctx) })
	again := time.NewTicker(preflight.Every)
	defer again.Stop()
	group.Go(func() error { return e.paths.Run(ctx, again.C) })
	group.Go(func() error { return e.status.serve(ctx, e.config.StatusListen) })
	group.Go(func() error {
		if e.cluster != nil {
			return e.serveCluster(ctx)
		}
		return e.serve(ctx, start)
	})
	return group.Wait()
}

// serve serves agents as soon as there is a configuration.
func (e *edge) serve(ctx context.Context, start func(*pilot.Pilot)) error {
	select {
	case <-e.zone.known:
	case <-ctx.Done():
		return nil
	}
	p, err := e.newPilot()
	if err != nil {
		return err
	}
	e.status.metrics.MustRegister(refusedStreams{p.Refused})
	start(p)
	group, ctx := errgroup.WithContext(ctx)
	if err := e.populate(ctx, group, p); err != nil {
		return errors.Join(err, group.Wait())
	}
	server := e.server(p)
	group.Go(func() error { return e.siblings.Run(ctx) })
	group.Go(func() error { return server.Serve(e.listener) })
	group.Go(func() error { <-ctx.Done(); server.Stop(); return nil })
	e.status.ready.Store(true)
	e.config.Log.Info("serving agents", "listen", e.listener.Addr(), "revision", e.files.bundle.Revision(), "workloads", len(e.roster.All()))
	if e.config.Ready != nil {
		e.config.Ready(e.listener.Addr().String())
	}
	return group.Wait()
}

// populate gives Pilot the workloads remembered, then the configuration, which lets proxies in.
func (e *edge) populate(ctx context.Context, group *errgroup.Group, p *pilot.Pilot) error {
	e.pilot = p
	group.Go(func() error { return e.roster.Run(ctx) })
	select {
	case <-e.roster.Flushed():
	case <-ctx.Done():
		return ctx.Err()
	}
	e.zone.open(p)
	return nil
}

func (e *edge) newPilot() (*pilot.Pilot, error) {
	info := e.zone.facts.Load()
	c := e.wallet.newest.Load()
	return pilot.New(pilot.Config{
		Zone: c.zone, TrustDomain: c.trustDomain,
		Network: cmp.Or(info.Network, c.zone), Region: cmp.Or(info.Region, c.zone), Locality: cmp.Or(info.Zone, c.zone),
		Dir: filepath.Join(e.config.DataDir, "pilot"), Events: events{e.client.Report}, Log: e.config.Log,
	})
}

func (e *edge) hubChanged(err error) {
	if err == nil {
		e.conditions.set("Hub", nil)
		return
	}
	e.conditions.set("Hub", problem.HubAway.Because("%v", err))
}

func (e *edge) reportConditions() {
	e.client.Report(&feedpb.ReportRequest{Conditions: e.conditions.all(), ConditionsSet: true})
}

// ignoreEnd turns an error that only says that ctx ended into success.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, grpc.ErrServerStopped)) {
		return nil
	}
	return err
}

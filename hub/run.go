package hub

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/isthmus-mesh/isthmus/api/hubinfo"
	"github.com/isthmus-mesh/isthmus/compiler"
	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/hub/apiserver"
	"github.com/isthmus-mesh/isthmus/hub/inventory"
	"github.com/isthmus-mesh/isthmus/identity"
)

// Run runs a hub until ctx ends, then stops it and waits for all of it. ready, if not nil, is called
// once, when every kind can be used and edges are served what storage holds. It returns an error that
// says what to do if the hub cannot start, and nil when ctx ended.
func Run(ctx context.Context, config Config, ready func(Info)) error {
	config, err := config.withDefaults()
	if err != nil {
		return err
	}
	primed, announced := make(chan struct{}), make(chan struct{})
	api, err := apiserver.Open(ctx, apiserver.Config{
		DataDir: config.DataDir, Listen: config.Listen, Advertise: hostsOf(config.Advertise), Etcd: config.Etcd,
		ReadyChecks: []apiserver.ReadyCheck{
			{Name: "isthmus-feed", Check: closed(primed, "the intent is not compiled yet")},
			{Name: "isthmus-facts", Check: closed(announced, "how to reach the hub is not published yet")},
		}, Log: config.Log, Now: config.Now,
	})
	if err != nil {
		return err
	}
	h, err := newHub(config, api, primed, announced)
	if err != nil {
		return errors.Join(err, api.Close())
	}
	return h.run(ctx, ready)
}

// closed fails, with what is missing, until the channel is closed.
func closed(done <-chan struct{}, missing string) func() error {
	return func() error {
		select {
		case <-done:
			return nil
		default:
			return errors.New(missing)
		}
	}
}

// hub is everything that runs.
type hub struct {
	config    Config
	api       *apiserver.Server
	primed    chan struct{} // closed when edges can be served
	announced chan struct{} // closed when it is published how to reach the hub
	root      *identity.Authority
	listener  net.Listener
	server    *grpc.Server
	inventory *inventory.Inventory
	pipeline  *pipeline
	writers   *writers
}

func newHub(config Config, api *apiserver.Server, primed, announced chan struct{}) (*hub, error) {
	h := &hub{config: config, api: api, primed: primed, announced: announced}
	var err error
	if h.root, err = openRoot(filepath.Join(config.DataDir, "pki", "root"), config.TrustDomain, config.Now); err != nil {
		return nil, fmt.Errorf("the root of the mesh: %w", err)
	}
	if h.listener, err = net.Listen("tcp", config.FeedListen); err != nil {
		return nil, fmt.Errorf("the hub cannot listen for edges on %s: free the address or choose another one (%w)", config.FeedListen, err)
	}
	if err := h.wire(); err != nil {
		return nil, errors.Join(err, h.listener.Close())
	}
	return h, nil
}

// wire makes the parts and introduces them to each other.
func (h *hub) wire() error {
	metrics := newMetrics(h.config.Metrics)
	ledger := newLedger(metrics, h.config.Now, h.config.Log)
	var err error
	if h.inventory, err = openInventory(h.config, ledger, h.api.Views); err != nil {
		return err
	}
	ledger.inventory = h.inventory
	h.writers = &writers{ledger: ledger, patch: h.api.PatchStatus, limit: rate.NewLimiter(rate.Limit(h.config.StatusRate), h.config.StatusRate), metrics: metrics, log: h.config.Log}
	server, err := h.openFeed(metrics)
	if err != nil {
		return err
	}
	h.pipeline = &pipeline{
		compiler: compiler.New(compiler.Options{TrustDomain: h.config.TrustDomain}), intake: newIntake(h.config.Log),
		inventory: h.inventory, feed: server, ledger: ledger, metrics: metrics, now: h.config.Now, log: h.config.Log,
		batches: make(chan apiserver.Batch, 64), revision: h.inventory.Saved(), zones: revisions{}, primed: h.primed,
	}
	return nil
}

func openInventory(config Config, events inventory.Events, views apiserver.Views) (*inventory.Inventory, error) {
	return inventory.Open(inventory.Config{
		File: filepath.Join(config.DataDir, "discovered.json"), Linger: config.Linger, Events: events, Now: config.Now, Log: config.Log,
		Views: inventory.Views{Workloads: views.Workloads, Proxies: views.Proxies, Services: views.Services, Revisions: views.Revisions},
	})
}

// openFeed makes the server that edges dial.
func (h *hub) openFeed(metrics *metrics) (*feed.Server, error) {
	own, err := newCertificate(h.root, h.config.EdgeTTL, h.hosts(), h.config.Now, h.config.Log)
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(h.api.Loopback())
	if err != nil {
		return nil, err
	}
	admission := &admission{
		tokens: tokens{client, h.config.Now}, root: h.root, edgeTTL: h.config.EdgeTTL, zoneTTL: h.config.ZoneTTL,
		metrics: metrics, now: h.config.Now, log: h.config.Log,
	}
	server := feed.NewServer(feed.ServerConfig{
		Hub: handler{admission, h.inventory, metrics}, TrustDomain: h.config.TrustDomain, Log: h.config.Log, Metrics: h.config.Metrics,
	})
	options := append(feed.ServerOptions(), grpc.Creds(credentials.NewTLS(identity.ServerTLS(own, h.config.Now))), grpc.WaitForHandlers(true))
	h.server = grpc.NewServer(options...)
	server.Register(h.server)
	return server, nil
}

// run starts the API and, when it is ready, the rest; it ends them in the opposite order.
func (h *hub) run(ctx context.Context, ready func(Info)) error {
	serving, stop := context.WithCancelCause(ctx)
	apiRuns, stopAPI := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAPI()
	ended := make(chan error, 1)
	go func() {
		err := h.api.Run(apiRuns)
		stop(err)
		ended <- err
	}()
	err := h.serve(serving, ready)
	stop(nil)
	stopAPI()
	return errors.Join(err, <-ended)
}

// serve runs everything but the API until ctx ends or a part fails.
func (h *hub) serve(ctx context.Context, ready func(Info)) error {
	defer h.listener.Close()
	select {
	case <-h.api.Ready():
	case <-ctx.Done():
		h.writers.ledger.queue.ShutDown()
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return h.inventory.Run(ctx) })
	group.Go(func() error { return h.pipeline.run(ctx) })
	group.Go(func() error { return h.writers.run(ctx) })
	group.Go(func() error { return unlessOver(ctx, h.api.Stream(ctx, h.pipeline.add(ctx))) })
	group.Go(func() error { return h.serveFeed(ctx) })
	group.Go(func() error { return h.announce(ctx, ready) })
	return group.Wait()
}

// serveFeed serves edges once there is something to serve them.
func (h *hub) serveFeed(ctx context.Context) error {
	select {
	case <-h.primed:
	case <-ctx.Done():
		return nil
	}
	stopped := context.AfterFunc(ctx, h.server.Stop) // streams of the feed never end by themselves
	defer stopped()
	return unlessOver(ctx, h.server.Serve(h.listener))
}

// unlessOver is an error, if it is not only the end.
func unlessOver(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// announce publishes how to reach the hub and says that it is ready.
func (h *hub) announce(ctx context.Context, ready func(Info)) error {
	select {
	case <-h.primed:
	case <-ctx.Done():
		return nil
	}
	info := h.info()
	client, err := kubernetes.NewForConfig(h.api.Loopback())
	if err != nil {
		return err
	}
	facts := hubinfo.Info{
		FeedAddresses: info.FeedAddresses, TrustDomain: h.config.TrustDomain,
		Root: string(identity.EncodeCertificates(h.root.Roots())),
	}
	if err := publishFacts(ctx, client, facts); err != nil {
		return unlessOver(ctx, fmt.Errorf("ConfigMap %s/%s: %w", hubinfo.Namespace, hubinfo.Name, err))
	}
	close(h.announced)
	h.config.Log.Info("hub: ready", "api", info.API, "feed", info.Feed)
	if ready != nil {
		ready(info)
	}
	return nil
}

func (h *hub) info() Info {
	return Info{
		API: h.api.Address(), Kubeconfig: h.api.Kubeconfig(), Feed: h.listener.Addr().String(),
		FeedAddresses: h.feedAddresses(), Root: h.root.Certificate(),
	}
}

// feedAddresses are those that edges dial.
func (h *hub) feedAddresses() []string {
	host, port, _ := net.SplitHostPort(h.listener.Addr().String()) // comes from a listener
	if len(h.config.Advertise) == 0 {
		return []string{net.JoinHostPort(host, port)}
	}
	addresses := make([]string, len(h.config.Advertise))
	for i, advertised := range h.config.Advertise {
		addresses[i] = advertised
		if _, _, err := net.SplitHostPort(advertised); err != nil {
			addresses[i] = net.JoinHostPort(advertised, port)
		}
	}
	return addresses
}

// hosts are the names and addresses the feed's certificate is valid for.
func (h *hub) hosts() []string {
	hosts := append(hostsOf(h.feedAddresses()), "localhost", "127.0.0.1", "::1")
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// hostsOf takes the ports off addresses that have one.
func hostsOf(addresses []string) []string {
	hosts := make([]string, len(addresses))
	for i, address := range addresses {
		hosts[i] = address
		if host, _, err := net.SplitHostPort(address); err == nil {
			hosts[i] = host
		}
	}
	return hosts
}

package kube

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// Config is what a [Cluster] needs. All fields are required.
type Config struct {
	// REST is the way to the cluster's API server.
	REST *rest.Config
	// Zone whose objects these are.
	Zone string
	// TrustDomain of the identities that the cluster's istiod issues.
	TrustDomain string
	Events      Events
	Now         func() time.Time
	Log         *slog.Logger
}

// Events is told what happens in the cluster.
type Events interface {
	// Applied says that the cluster has all of a revision that it takes.
	Applied(revision int64)
	// Rejected says that a resource is not in the cluster, or that it is after all.
	Rejected(*feedpb.Rejection)
	// Drifted says that somebody changed or removed an object of ours, and that it was put back.
	Drifted(Drift)
	// Condition says what is wrong in a place; nil says that nothing is.
	Condition(place string, err *problem.Error)
	// Workloads are pods that are new or changed, and names of those gone.
	Workloads(upserts []*feedpb.Workload, gone []string)
}

// Drift is a change behind our back.
type Drift struct {
	// Resource is the object, "kind/namespace/name".
	Resource string
	// Manager is who changed it, as Kubernetes' managed fields tell; empty if it was removed.
	Manager string
	// At is when it was seen.
	At time.Time
}

// Cluster is a cluster as an edge serves it.
type Cluster struct {
	config    Config
	dynamic   dynamic.Interface
	core      kubernetes.Interface
	factory   informers.SharedInformerFactory
	watchers  map[string]*watcher // by kind
	inventory *inventory
	queue     workqueue.TypedRateLimitingInterface[string]

	mu      sync.Mutex // guards what follows
	wanted  map[string]*wanted
	pending map[string]bool // names that are not in the cluster as wanted, nor rejected
	refused map[string]*feedpb.Rejection
	newest  int64
	told    int64 // newest revision told to be applied
	loaded  bool
}

// wanted is a resource the cluster shall have.
type wanted struct {
	resource *feedpb.Resource
	object   object
	// settled is whether the cluster had it: a difference seen later is somebody else's doing.
	settled bool
}

// New makes a cluster that is not served yet.
func New(config Config) (*Cluster, error) {
	own := rest.CopyConfig(config.REST)
	own.QPS, own.Burst = 200, 400 // the API server's own priority and fairness is what limits us
	dyn, err := dynamic.NewForConfig(own)
	core, err2 := kubernetes.NewForConfig(own)
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	c := &Cluster{
		config: config, dynamic: dyn, core: core, watchers: map[string]*watcher{},
		queue:  workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](retryFirst, retryLast)),
		wanted: map[string]*wanted{}, pending: map[string]bool{}, refused: map[string]*feedpb.Rejection{},
	}
	for _, kind := range kinds {
		if c.watchers[kind.name], err = c.watch(kind); err != nil {
			return nil, err
		}
	}
	c.factory = informers.NewSharedInformerFactory(core, 0)
	c.inventory, err = newInventory(config, c.factory)
	return c, err
}

// How long a failed write waits, at first and at last.
const (
	retryFirst = 50 * time.Millisecond
	retryLast  = 10 * time.Second
)

// writers work at a time: more do not help an API server, fewer would let one slow call hold up the rest.
const writers = 8

// Apply takes a revision: what is new or changed, and names of what is gone. The first call has all the
// zone's resources. It returns at once; [Events] tell what became of it.
func (c *Cluster) Apply(revision int64, upserts []*feedpb.Resource, removed []string) {
	c.mu.Lock()
	c.newest = revision
	first := !c.loaded
	c.loaded = true
	var touched []string
	for _, r := range upserts {
		if old := c.wanted[r.Name]; old == nil || old.resource.Version != r.Version {
			touched = append(touched, c.want(r)...)
		}
	}
	for _, name := range removed {
		delete(c.wanted, name)
		c.pending[name] = true
		touched = append(touched, name)
	}
	c.mu.Unlock()
	if first {
		touched = append(touched, c.existing()...)
	}
	for _, name := range touched {
		c.queue.Add(name)
	}
	c.progress()
}

// want notes a resource. One that is no object is rejected. Caller holds mu.
func (c *Cluster) want(r *feedpb.Resource) []string {
	o, err := c.objectOf(r)
	if err != nil {
		c.reject(r, problem.ResourceUnreadable.Because("%v", err).Error())
		return nil
	}
	c.wanted[r.Name] = &wanted{resource: r, object: o}
	c.pending[r.Name] = true
	return []string{r.Name}
}

// SetClaims says which namespaces belong to which workspaces.
func (c *Cluster) SetClaims(claims []*feedpb.Claim) { c.inventory.setClaims(claims) }

// Inventory is all workloads.
func (c *Cluster) Inventory() []*feedpb.Workload { return c.inventory.all() }

// Applied is the newest revision that the cluster has as far as it takes it.
func (c *Cluster) Applied() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.told
}

// Rejections are all resources that are not in the cluster.
func (c *Cluster) Rejections() []*feedpb.Rejection {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*feedpb.Rejection, 0, len(c.refused))
	for _, r := range c.refused {
		all = append(all, r)
	}
	return all
}

// Run serves the cluster until ctx ends, and then returns nil.
func (c *Cluster) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, w := range c.watchers {
		group.Go(func() error { w.informer.RunWithContext(ctx); return nil })
	}
	c.factory.StartWithContext(ctx)
	defer c.factory.Shutdown()
	group.Go(func() error { return c.inventory.run(ctx) })
	for range writers {
		group.Go(func() error { c.write(ctx); return nil })
	}
	group.Go(func() error { <-ctx.Done(); c.queue.ShutDown(); return nil })
	return group.Wait()
}

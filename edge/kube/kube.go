package kube

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
)

// Config is what a [Cluster] needs. REST, Zone, Events and Log are required.
type Config struct {
	// REST is how to reach the API server.
	REST *rest.Config
	// Zone is the name of the zone that the cluster is.
	Zone string
	// TrustDomain of the mesh, and of the cluster's Istio unless SetTrust says otherwise; empty means that identities
	// are not told.
	TrustDomain string
	// Roots are the mesh's, for the question whether the cluster's istiod issues certificates under one of them;
	// nil means that nobody asks.
	Roots func() []*x509.Certificate
	// LeaseNamespace is where the edges of the zone agree on one that writes and reports; empty means that
	// there is one edge only.
	LeaseNamespace string
	// Identity is the edge's name among those of the zone; required with LeaseNamespace.
	Identity string
	// ReceiptsAccount is the service account, "NAMESPACE/NAME", as which the edge asks istiods what their proxies
	// acknowledged; its namespace is theirs. Empty means that nobody is asked.
	ReceiptsAccount string
	// RefusedFile keeps what proxies refuse over restarts; empty means that it is forgotten.
	RefusedFile string
	// Lease is how long an edge that is gone is waited for; 0 means 15 s.
	Lease time.Duration
	// Events hears what happens.
	Events Events
	Log    *slog.Logger
	// Now is the clock; nil means [time.Now].
	Now func() time.Time
}

// Events hears what happens in the cluster. Methods may be called from any goroutine, must not block
// and must not call the Cluster.
type Events interface {
	// Inventory is all workloads of the zone: this edge leads now, and tells from now on what changes.
	Inventory(all []*feedpb.Workload)
	// Workloads are new or changed, and names gone.
	Workloads(upserts []*feedpb.Workload, gone []string)
	// Facts tells what the cluster shows of itself and of its Istio, from time to time when it is something else.
	Facts(f *feedpb.Cluster)
	// Rejected tells that an object cannot be in the cluster, or, resolved, that it can after all.
	Rejected(r *feedpb.Rejection)
	// Applied tells the newest revision that is wholly in the cluster, but for what was Rejected. Where istiods are
	// asked, it is told when all of them have it, after every proxy concerned was told of, be it with revision 0.
	Applied(revision int64)
	// Acknowledged tells the newest revision that proxies have; 0 is for those of which nothing is known yet.
	Acknowledged(revision int64, proxies []string)
	// Gone tells that proxies need not be waited for any more.
	Gone(proxies []string)
	// Drifted tells that others changed or deleted an object, and that it was put back.
	Drifted(d Drift)
	// Condition tells what is wrong in a place; nil means nothing is.
	Condition(place string, err *problem.Error)
}

// Cluster is a Kubernetes cluster, as one zone.
type Cluster struct {
	config  Config
	core    kubernetes.Interface
	dynamic dynamic.Interface
	// raw writes without retries of its own: retries are the queue's.
	raw *rest.RESTClient

	faults     *faults
	objects    map[string]*table[live] // by kind
	namespaces *table[namespace]
	inventory  *inventory
	facts      *facts
	rejections *rejections
	refusals   *rejections // of proxies
	receipts   *receipts   // nil where nobody is asked
	collisions *collisions
	queue      atomic.Pointer[queue]                // nil while not leading
	own        atomic.Pointer[identity.TrustDomain] // what SetTrust was told

	mu       sync.Mutex // guards what follows
	opened   bool       // Apply was called
	wanted   map[string]*wanted
	progress progress
	// contained is what proxies refuse; nothing where nobody is asked.
	contained *containment
}

// New makes a Cluster that does nothing until Run.
func New(config Config) (*Cluster, error) {
	if config.REST == nil || config.Zone == "" || config.Events == nil || config.Log == nil {
		return nil, errors.New("kube: REST, Zone, Events and Log are required")
	}
	if config.LeaseNamespace != "" && config.Identity == "" {
		return nil, errors.New("kube: an edge that shares its zone needs an Identity")
	}
	account, err := accountOf(config.ReceiptsAccount)
	if err != nil {
		return nil, err
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Lease == 0 {
		config.Lease = 15 * time.Second
	}
	c := &Cluster{config: config, objects: map[string]*table[live]{}, facts: &facts{}, wanted: map[string]*wanted{}}
	c.faults = &faults{tell: config.Events.Condition, places: map[string]*place{}}
	c.rejections = &rejections{tell: config.Events.Rejected, byResource: map[string]*feedpb.Rejection{}}
	c.collisions = &collisions{told: map[string]string{}}
	c.refusals = &rejections{tell: config.Events.Rejected, byResource: map[string]*feedpb.Rejection{}}
	c.contained = newContainment(config.Zone)
	c.inventory = newInventory(config.TrustDomain, config.Events, c.facts)
	for name := range kinds {
		c.objects[name] = newTable(readLive(config.Zone), c.objectChanged(name), c.kindSynced(name))
	}
	c.namespaces = newTable(readNamespace, c.namespaceChanged, c.enqueueAll)
	if config.ReceiptsAccount != "" {
		c.receipts = newReceipts(c, account)
	}
	return c, c.connect()
}

// accountOf reads "NAMESPACE/NAME"; nothing is no account.
func accountOf(text string) (types.NamespacedName, error) {
	namespace, name, ok := strings.Cut(text, "/")
	if text != "" && (!ok || namespace == "" || name == "" || strings.Contains(name, "/")) {
		return types.NamespacedName{}, fmt.Errorf("service account %q: want NAMESPACE/NAME", text)
	}
	return types.NamespacedName{Namespace: namespace, Name: name}, nil
}

// connect makes the clients; nothing is dialled yet.
func (c *Cluster) connect() (err error) {
	config := rest.CopyConfig(c.config.REST)
	config.UserAgent = "isthmus-edge"
	config.QPS = -1 // the API server's own fairness limits us better than a guess
	if c.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return fmt.Errorf("kube: %w", err)
	}
	if c.raw, err = rawClient(config); err != nil {
		return fmt.Errorf("kube: %w", err)
	}
	config.ContentType, config.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf,application/json"
	if c.core, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("kube: %w", err)
	}
	return nil
}

// Run watches, and while leading writes and reports, until ctx ends; then it returns nil.
func (c *Cluster) Run(ctx context.Context) error {
	ctx = klog.NewContext(ctx, logr.FromSlogHandler(c.config.Log.Handler()))
	var running sync.WaitGroup
	defer running.Wait()
	for _, w := range c.watches() {
		running.Go(func() { w.run(ctx) })
	}
	if c.config.LeaseNamespace == "" {
		c.term(ctx)
		return nil
	}
	return c.lead(ctx)
}

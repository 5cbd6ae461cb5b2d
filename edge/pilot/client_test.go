package pilot

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/encoding/prototext"
	v3 "istio.io/istio/pilot/pkg/xds/v3"

	"github.com/isthmus-mesh/isthmus/identity"
)

// client is a proxy that speaks delta discovery as Envoy does and keeps what it gets.
type client struct {
	t       testing.TB
	stream  discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	cancel  func()
	done    chan struct{}
	pick    func(resp *discovery.DeltaDiscoveryResponse) string // what to say against a response; "" acknowledges
	reading sync.Mutex

	mu    sync.Mutex // guards the rest
	cond  *sync.Cond
	has   map[string]map[string]*discovery.Resource
	asked map[string]map[string]bool
	count map[string]int // resources received
	heard map[string]int // responses received
	err   error
}

func newClient(t testing.TB) *client {
	c := &client{
		t: t, has: map[string]map[string]*discovery.Resource{}, asked: map[string]map[string]bool{},
		count: map[string]int{}, heard: map[string]int{}, pick: func(*discovery.DeltaDiscoveryResponse) string { return "" },
	}
	c.cond = sync.NewCond(&c.mu)
	return c
}

// connect opens a stream as the workload with its right certificate.
func (w *world) connect(workload Workload) *client {
	w.t.Helper()
	c := newClient(w.t)
	w.dial(c, identity.Workload(trustDomain, workload.Workspace, workload.Service), w.pilot.NodeID(workload))
	return c
}

// dial opens a stream and asks for everything, stating what the client has.
func (w *world) dial(c *client, id identity.ID, node string) {
	w.t.Helper()
	tls := identity.ClientTLS(w.peer(id), time.Now, func(identity.ID) error { return nil })
	conn, err := grpc.NewClient(w.address, grpc.WithTransportCredentials(credentials.NewTLS(tls)))
	check(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	c.stream, err = discovery.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	check(w.t, err)
	c.done = make(chan struct{})
	c.cancel = sync.OnceFunc(func() {
		cancel()
		<-c.done
		_ = conn.Close()
	})
	w.t.Cleanup(c.cancel)
	c.begin(node)
	go c.listen()
}

func (c *client) begin(node string) {
	for i, t := range []string{v3.ClusterType, v3.EndpointType, v3.ListenerType, v3.RouteType, v3.NameTableType} {
		req := &discovery.DeltaDiscoveryRequest{TypeUrl: t, InitialResourceVersions: c.versions(t)}
		if i == 0 {
			req.Node = &corev3.Node{Id: node}
		}
		if t == v3.EndpointType || t == v3.RouteType {
			req.ResourceNamesSubscribe = slices.Sorted(maps.Keys(c.asked[t]))
			if len(req.ResourceNamesSubscribe) == 0 {
				continue
			}
		}
		c.send(req)
	}
}

func (c *client) versions(typeURL string) map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]string{}
	for name, r := range c.has[typeURL] {
		out[name] = r.Version
	}
	return out
}

func (c *client) send(req *discovery.DeltaDiscoveryRequest) { _ = c.stream.Send(req) } // a failure shows in Recv

func (c *client) listen() {
	defer close(c.done)
	for {
		resp, err := c.stream.Recv()
		if err != nil {
			c.change(func() { c.err = err })
			return
		}
		c.handle(resp)
	}
}

func (c *client) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	c.cond.Broadcast()
}

// handle keeps what a response brings, answers it, and asks for what it names.
func (c *client) handle(resp *discovery.DeltaDiscoveryResponse) {
	answer := &discovery.DeltaDiscoveryRequest{TypeUrl: resp.TypeUrl, ResponseNonce: resp.Nonce}
	if words := c.pick(resp); words != "" {
		answer.ErrorDetail = &rpcstatus.Status{Code: int32(codes.Internal), Message: words}
		c.send(answer)
		return
	}
	c.change(func() {
		c.heard[resp.TypeUrl]++
		c.count[resp.TypeUrl] += len(resp.Resources)
		if c.has[resp.TypeUrl] == nil {
			c.has[resp.TypeUrl] = map[string]*discovery.Resource{}
		}
		for _, r := range resp.Resources {
			c.has[resp.TypeUrl][r.Name] = r
		}
		for _, name := range resp.RemovedResources {
			delete(c.has[resp.TypeUrl], name)
		}
	})
	c.send(answer)
	c.follow(resp)
}

// follow subscribes to the endpoints and routes that clusters and listeners name.
func (c *client) follow(resp *discovery.DeltaDiscoveryResponse) {
	names, typeURL := []string{}, ""
	for _, r := range resp.Resources {
		switch resp.TypeUrl {
		case v3.ClusterType:
			cluster := &clusterv3.Cluster{}
			check(c.t, r.Resource.UnmarshalTo(cluster))
			if cluster.GetType() == clusterv3.Cluster_EDS {
				names, typeURL = append(names, cluster.Name), v3.EndpointType
			}
		case v3.ListenerType:
			names, typeURL = append(names, routesOf(r.Resource)...), v3.RouteType
		}
	}
	c.ask(typeURL, names...)
}

// ask subscribes to those names that are not subscribed to yet.
func (c *client) ask(typeURL string, names ...string) {
	var news []string
	c.change(func() {
		if c.asked[typeURL] == nil {
			c.asked[typeURL] = map[string]bool{}
		}
		for _, n := range names {
			if !c.asked[typeURL][n] {
				c.asked[typeURL][n] = true
				news = append(news, n)
			}
		}
	})
	if len(news) > 0 {
		c.send(&discovery.DeltaDiscoveryRequest{TypeUrl: typeURL, ResourceNamesSubscribe: news})
	}
}

// catchUp waits until everything asked for before is answered: it asks for a route table that nothing uses.
func (c *client) catchUp() {
	c.t.Helper()
	c.ask(v3.RouteType, "61234")
	c.await("the last answer", func() bool { return c.has[v3.RouteType]["61234"] != nil })
}

func (c *client) await(what string, condition func() bool) {
	c.t.Helper()
	awaitOn(c.t, c.cond, what, condition)
}

// text is a resource in readable form without white space, which prototext varies on purpose; empty when the
// client does not have it.
func (c *client) text(typeURL, name string) string {
	r := c.has[typeURL][name]
	if r == nil {
		return ""
	}
	m, err := r.Resource.UnmarshalNew()
	if err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(prototext.Format(m)), "")
}

// counts is how many resources came so far, by type.
func (c *client) counts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.count)
}

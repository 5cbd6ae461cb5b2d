package edge_test

import (
	"context"
	"slices"
	"sync"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	manager "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"

	. "github.com/isthmus-mesh/isthmus/edge/internal/zonetest"
)

const (
	listenerType = "type.googleapis.com/envoy.config.listener.v3.Listener"
	routeType    = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
	clusterType  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	endpointType = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
)

type adsStream = grpc.BidiStreamingClient[discovery.DeltaDiscoveryRequest, discovery.DeltaDiscoveryResponse]

// proxy asks for all that an Envoy does, acknowledges it, and keeps the endpoints.
type proxy struct {
	stream  adsStream
	mu      sync.Mutex
	ends    map[string][]string // addresses by cluster
	removed map[string]bool     // clusters
	err     error
}

// discover opens the discovery stream of a node with a certificate.
func (h *hub) discover(at string, as *Peer, node string) *proxy {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(h.Dial(at, as)).DeltaAggregatedResources(ctx)
	Check(h.t, err)
	p := &proxy{stream: stream, ends: map[string][]string{}, removed: map[string]bool{}}
	_ = stream.Send(&discovery.DeltaDiscoveryRequest{Node: &core.Node{Id: node}, TypeUrl: clusterType})
	_ = stream.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: listenerType})
	done := make(chan struct{})
	go func() { defer close(done); p.listen() }()
	h.t.Cleanup(func() { cancel(); <-done })
	return p
}

func (p *proxy) listen() {
	for {
		r, err := p.stream.Recv()
		if err != nil {
			p.mu.Lock()
			p.err = err
			p.mu.Unlock()
			return
		}
		p.take(r)
		_ = p.stream.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: r.TypeUrl, ResponseNonce: r.Nonce})
		switch r.TypeUrl {
		case clusterType:
			_ = p.stream.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: endpointType, ResourceNamesSubscribe: names(r), ResourceNamesUnsubscribe: r.RemovedResources})
		case listenerType:
			_ = p.stream.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: routeType, ResourceNamesSubscribe: routes(r)})
		}
	}
}

func names(r *discovery.DeltaDiscoveryResponse) (all []string) {
	for _, resource := range r.Resources {
		all = append(all, resource.Name)
	}
	return all
}

// routes are the route configurations that listeners name.
func routes(r *discovery.DeltaDiscoveryResponse) (all []string) {
	for _, resource := range r.Resources {
		var l listener.Listener
		if resource.Resource.UnmarshalTo(&l) != nil {
			continue
		}
		for _, chain := range append(l.FilterChains, l.DefaultFilterChain) {
			for _, filter := range chain.GetFilters() {
				var http manager.HttpConnectionManager
				if filter.GetTypedConfig().UnmarshalTo(&http) == nil && http.GetRds() != nil {
					all = append(all, http.GetRds().RouteConfigName)
				}
			}
		}
	}
	return all
}

func (p *proxy) take(r *discovery.DeltaDiscoveryResponse) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.TypeUrl == clusterType {
		for _, name := range r.RemovedResources {
			delete(p.ends, name)
			p.removed[name] = true
		}
		for _, name := range names(r) {
			delete(p.removed, name)
		}
	}
	for _, resource := range r.Resources {
		var load endpoint.ClusterLoadAssignment
		if r.TypeUrl != endpointType || resource.Resource.UnmarshalTo(&load) != nil || p.removed[load.ClusterName] {
			continue
		}
		p.ends[load.ClusterName] = nil
		for _, locality := range load.Endpoints {
			for _, e := range locality.LbEndpoints {
				if e.HealthStatus != core.HealthStatus_UNHEALTHY {
					p.ends[load.ClusterName] = append(p.ends[load.ClusterName], e.GetEndpoint().GetAddress().GetSocketAddress().GetAddress())
				}
			}
		}
		slices.Sort(p.ends[load.ClusterName])
	}
}

// calls tells whether the proxy would call exactly the addresses for a cluster.
func (p *proxy) calls(cluster string, addresses ...string) func() bool {
	return func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		got, ok := p.ends[cluster]
		return ok && slices.Equal(got, addresses)
	}
}

// knows tells whether the proxy has a cluster with endpoints.
func (p *proxy) knows(cluster string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.ends[cluster]
	return ok
}

func (p *proxy) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

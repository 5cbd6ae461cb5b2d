package swarm

import (
	"context"
	"sync/atomic"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
)

// The types an Envoy asks for.
const (
	Clusters  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	Endpoints = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	Listeners = "type.googleapis.com/envoy.config.listener.v3.Listener"
	Routes    = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
)

// Seen is called for every response, after it was acknowledged. It must not block.
type Seen func(p *Proxy, response *discovery.DeltaDiscoveryResponse)

// Counters count what all proxies of a swarm received.
type Counters struct {
	Responses, Resources, Bytes atomic.Int64
}

// Follow takes configuration until ctx ends or the stream breaks. On a second call it resumes with
// the versions it has.
func (p *Proxy) Follow(ctx context.Context, counters *Counters, seen Seen) error {
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(p.conn).DeltaAggregatedResources(ctx)
	if err != nil {
		return err
	}
	for i, kind := range []string{Clusters, Endpoints, Listeners, Routes} {
		request := &discovery.DeltaDiscoveryRequest{TypeUrl: kind, InitialResourceVersions: p.state.versions(kind)}
		if i == 0 {
			request.Node = &corev3.Node{Id: p.node}
		}
		if kind == Endpoints || kind == Routes {
			if request.ResourceNamesSubscribe = p.state.wanted(kind); len(request.ResourceNamesSubscribe) == 0 {
				continue
			}
		}
		if err := stream.Send(request); err != nil {
			return err
		}
	}
	for {
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		counters.Responses.Add(1)
		counters.Resources.Add(int64(len(response.Resources)))
		counters.Bytes.Add(int64(proto.Size(response)))
		if err := p.acknowledge(stream, response); err != nil {
			return err
		}
		seen(p, response)
	}
}

type adsStream = discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesClient

// acknowledge accepts a response and subscribes to what its resources refer to.
func (p *Proxy) acknowledge(stream adsStream, response *discovery.DeltaDiscoveryResponse) error {
	p.state.take(response)
	err := stream.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: response.TypeUrl, ResponseNonce: response.Nonce})
	if err != nil {
		return err
	}
	kind, names := references(response)
	if names = p.state.want(kind, names); len(names) == 0 {
		return nil
	}
	return stream.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: kind, ResourceNamesSubscribe: names})
}

// references are the endpoints of clusters and the routes of listeners.
func references(response *discovery.DeltaDiscoveryResponse) (kind string, names []string) {
	switch response.TypeUrl {
	case Clusters:
		for _, r := range response.Resources {
			if len(r.Name) > 8 && r.Name[:8] == "outbound" {
				names = append(names, r.Name)
			}
		}
		return Endpoints, names
	case Listeners:
		for _, r := range response.Resources {
			names = append(names, routesOf(r.Resource.GetValue())...)
		}
		return Routes, names
	}
	return "", nil
}

func routesOf(listener []byte) (names []string) {
	l := &listenerv3.Listener{}
	if proto.Unmarshal(listener, l) != nil {
		return nil
	}
	chains := l.FilterChains
	if l.DefaultFilterChain != nil {
		chains = append(chains, l.DefaultFilterChain)
	}
	for _, chain := range chains {
		for _, filter := range chain.Filters {
			manager := &hcmv3.HttpConnectionManager{}
			if filter.GetTypedConfig().MessageIs(manager) && filter.GetTypedConfig().UnmarshalTo(manager) == nil {
				if rds := manager.GetRds(); rds != nil {
					names = append(names, rds.RouteConfigName)
				}
			}
		}
	}
	return names
}

package edgetest

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Set makes a resource part of the configuration and sends it to whoever wants it.
func (z *Zone) Set(name string, message proto.Message) {
	z.t.Helper()
	body := &anypb.Any{}
	check(z.t, anypb.MarshalFrom(body, message, proto.MarshalOptions{Deterministic: true}))
	z.SetAny(name, body)
}

// SetAny is Set for what is packed already.
func (z *Zone) SetAny(name string, body *anypb.Any) {
	sum := sha256.Sum256(body.Value)
	resource := &discovery.Resource{Name: name, Version: hex.EncodeToString(sum[:8]), Resource: body}
	z.change(func() {
		if z.resources[body.TypeUrl] == nil {
			z.resources[body.TypeUrl] = map[string]*discovery.Resource{}
		}
		z.resources[body.TypeUrl][name] = resource
	})
}

// Remove takes a resource away.
func (z *Zone) Remove(typeURL, name string) {
	z.change(func() { delete(z.resources[typeURL], name) })
}

// Version is that of a resource; empty if there is none.
func (z *Zone) Version(typeURL, name string) string {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.resources[typeURL][name].GetVersion()
}

type adsServer struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer
	zone *Zone
}

// adsStream is one proxy; it is touched by its own goroutine only.
type adsStream struct {
	zone  *Zone
	types map[string]*adsType
	nonce int
	sent  map[string]*discovery.DeltaDiscoveryResponse
}

type adsType struct {
	all      bool
	names    map[string]bool
	has      map[string]string
	answered bool
}

func (a *adsServer) DeltaAggregatedResources(stream discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	if !known(stream.Context()) {
		return status.Error(codes.Unauthenticated, "no certificate")
	}
	z := a.zone
	s := &adsStream{zone: z, types: map[string]*adsType{}, sent: map[string]*discovery.DeltaDiscoveryResponse{}}
	z.change(func() { z.streams[s] = true })
	defer z.change(func() { delete(z.streams, s) })
	requests := make(chan *discovery.DeltaDiscoveryRequest)
	failed := make(chan error, 1)
	go func() {
		for {
			request, err := stream.Recv()
			if err != nil {
				failed <- err
				return
			}
			select {
			case requests <- request:
			case <-stream.Context().Done():
				return
			}
		}
	}()
	for {
		z.mu.Lock()
		moved, news := z.moved, s.news()
		z.mu.Unlock()
		for _, response := range news {
			if err := stream.Send(response); err != nil {
				return err
			}
		}
		select {
		case request := <-requests:
			z.change(func() { s.take(request) })
		case <-moved:
		case err := <-failed:
			return err
		}
	}
}

// take notes a request.
func (s *adsStream) take(request *discovery.DeltaDiscoveryRequest) {
	s.answer(request)
	t, seen := s.types[request.TypeUrl]
	if !seen {
		t = &adsType{names: map[string]bool{}, has: map[string]string{}, all: len(request.ResourceNamesSubscribe) == 0}
		s.types[request.TypeUrl] = t
	}
	for _, name := range request.ResourceNamesSubscribe {
		if name == "*" {
			t.all = true
		}
		t.names[name] = true
		delete(t.has, name)
	}
	for _, name := range request.ResourceNamesUnsubscribe {
		delete(t.names, name)
		delete(t.has, name)
	}
	for name, version := range request.InitialResourceVersions {
		t.has[name] = version
	}
}

func (s *adsStream) answer(request *discovery.DeltaDiscoveryRequest) {
	response := s.sent[request.ResponseNonce]
	if response == nil {
		return
	}
	delete(s.sent, request.ResponseNonce)
	if request.ErrorDetail != nil {
		s.zone.rejected[request.TypeUrl] = request.ErrorDetail.Message
		return
	}
	accepted := s.zone.accepted[request.TypeUrl]
	if accepted == nil {
		accepted = map[string]string{}
		s.zone.accepted[request.TypeUrl] = accepted
	}
	for _, r := range response.Resources {
		accepted[r.Name] = r.Version
	}
	for _, name := range response.RemovedResources {
		delete(accepted, name)
	}
}

// news is what the proxy wants and does not have.
func (s *adsStream) news() []*discovery.DeltaDiscoveryResponse {
	var out []*discovery.DeltaDiscoveryResponse
	for typeURL, t := range s.types {
		response := s.newsOf(typeURL, t)
		if t.answered && len(response.Resources)+len(response.RemovedResources) == 0 {
			continue
		}
		t.answered = true
		s.nonce++
		response.Nonce = strconv.Itoa(s.nonce)
		s.sent[response.Nonce] = response
		s.zone.sent += len(response.Resources)
		out = append(out, response)
	}
	slices.SortFunc(out, func(a, b *discovery.DeltaDiscoveryResponse) int { return order(a.TypeUrl) - order(b.TypeUrl) })
	return out
}

// order is that of Envoy's dependencies: clusters, endpoints, listeners, routes, others.
func order(typeURL string) int {
	kinds := []string{
		"type.googleapis.com/envoy.config.cluster.v3.Cluster", "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
		"type.googleapis.com/envoy.config.listener.v3.Listener", "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
	}
	if i := slices.Index(kinds, typeURL); i >= 0 {
		return i
	}
	return len(kinds)
}

func (s *adsStream) newsOf(typeURL string, t *adsType) *discovery.DeltaDiscoveryResponse {
	response := &discovery.DeltaDiscoveryResponse{TypeUrl: typeURL}
	have := s.zone.resources[typeURL]
	for name, r := range have {
		if (t.all || t.names[name]) && t.has[name] != r.Version {
			response.Resources = append(response.Resources, proto.CloneOf(r))
			t.has[name] = r.Version
		}
	}
	for name := range t.has {
		if have[name] == nil {
			response.RemovedResources = append(response.RemovedResources, name)
			delete(t.has, name)
		}
	}
	return response
}

package pilot

import (
	"slices"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
)

// play is an order, and the letters in the sequence they were sent.
type play struct {
	*order
	sent []string
}

func newPlay() *play {
	p := &play{}
	p.order = newOrder(func(r *discovery.DeltaDiscoveryResponse) {
		p.sent = append(p.sent, r.Nonce+" "+strings.Join(r.RemovedResources, ","))
	}, func() { p.sent = append(p.sent, "late") })
	return p
}

func (p *play) clusters(t *testing.T, nonce string, names ...string) {
	t.Helper()
	body, err := anypb.New(&clusterv3.Cluster{ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}})
	check(t, err)
	resp := &discovery.DeltaDiscoveryResponse{TypeUrl: v3.ClusterType, Nonce: nonce}
	for _, name := range names {
		resp.Resources = append(resp.Resources, &discovery.Resource{Name: name, Resource: body})
	}
	p.add(resp)
}

func (p *play) say(typeURL, nonce string) {
	p.add(&discovery.DeltaDiscoveryResponse{TypeUrl: typeURL, Nonce: nonce})
}

func (p *play) gone(nonce string, names ...string) {
	p.leave(&discovery.DeltaDiscoveryResponse{TypeUrl: v3.ClusterType, Nonce: nonce, RemovedResources: names})
}

func (p *play) want(t *testing.T, what string, sent ...string) {
	t.Helper()
	for i := range p.sent {
		p.sent[i] = strings.TrimSpace(p.sent[i])
	}
	if !slices.Equal(p.sent, sent) {
		t.Errorf("%s: sent %q, want %q", what, p.sent, sent)
	}
}

// A route never names a cluster that the proxy does not know yet, or no more.
func TestMakeBeforeBreak(t *testing.T) {
	t.Run("routes wait for the endpoints of new clusters", func(t *testing.T) {
		p := newPlay()
		p.clusters(t, "c1", "a", "b")
		p.say(v3.RouteType, "r1")
		p.say(v3.EndpointType, "e1")
		p.answered(letter{typeURL: v3.EndpointType, names: []string{"a"}}, false)
		p.say(v3.ListenerType, "l1")
		p.want(t, "one cluster is cold", "c1", "e1")
		p.answered(letter{typeURL: v3.EndpointType, names: []string{"b"}}, false)
		p.want(t, "both have endpoints", "c1", "e1", "r1", "l1")
		p.clusters(t, "c2", "a")
		p.say(v3.RouteType, "r2")
		p.want(t, "a known cluster only changed", "c1", "e1", "r1", "l1", "c2", "r2")
	})
	t.Run("what a proxy states to have is not new", func(t *testing.T) {
		p := newPlay()
		p.knows(&discovery.DeltaDiscoveryRequest{TypeUrl: v3.ClusterType, InitialResourceVersions: map[string]string{"a": "unknown"}})
		p.clusters(t, "c1", "a")
		p.say(v3.RouteType, "r1")
		p.want(t, "a is known", "c1", "r1")
	})
	t.Run("clusters go after routes", func(t *testing.T) {
		p := newPlay()
		p.gone("c1", "a")
		p.say(v3.RouteType, "r1")
		p.want(t, "the push goes on", "r1")
		p.pushed()
		p.want(t, "the push has ended", "r1", "c1 a")
	})
	t.Run("clusters do not overtake routes that wait", func(t *testing.T) {
		p := newPlay()
		p.clusters(t, "c1", "b")
		p.gone("c2", "a", "z")
		p.say(v3.RouteType, "r1")
		p.pushed()
		p.clusters(t, "c3", "a")
		p.want(t, "b is cold", "c1", "c3")
		p.answered(letter{typeURL: v3.EndpointType, names: []string{"a", "b"}}, false)
		p.want(t, "a is back and does not go", "c1", "c3", "r1", "c2 z")
	})
	t.Run("a rejected cluster is waited for no more", func(t *testing.T) {
		p := newPlay()
		p.clusters(t, "c1", "a")
		p.say(v3.RouteType, "r1")
		p.answered(letter{typeURL: v3.ClusterType, names: []string{"a"}}, true)
		p.want(t, "a is rejected", "c1", "r1")
	})
	t.Run("patience ends", func(t *testing.T) {
		p := newPlay()
		p.clusters(t, "c1", "a")
		p.say(v3.RouteType, "r1")
		p.lose()
		p.want(t, "the proxy never asked", "c1", "r1", "late")
		p.say(v3.RouteType, "r2")
		p.want(t, "and waits no more", "c1", "r1", "late", "r2")
	})
	t.Run("the end", func(t *testing.T) {
		p := newPlay()
		p.clusters(t, "c1", "a")
		p.say(v3.RouteType, "r1")
		p.end()
		p.lose()
		p.want(t, "nothing after the end", "c1")
	})
}

package pilot

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pilot/pkg/xds"
	v3 "istio.io/istio/pilot/pkg/xds/v3"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
)

const reviewsCluster, ratingsCluster = "outbound|9080||reviews.shop.mesh", "outbound|9080||ratings.shop.mesh"

func TestFirstProxyGetsEverything(t *testing.T) {
	w := shop(t)
	c := w.connect(sidecar("reviews", "reviews-1", "10.0.0.1"))
	w.awaitReceipt("reviews-1", 1)
	c.await("endpoints of ratings", func() bool { return strings.Contains(c.text(v3.EndpointType, ratingsCluster), "10.0.0.2") })
	c.await("listeners", func() bool {
		return c.has[v3.ListenerType]["virtualInbound"] != nil && c.has[v3.ListenerType]["0.0.0.0_9080"] != nil
	})
	route := c.text(v3.RouteType, "9080")
	for _, domain := range []string{`"ratings.shop.mesh"`, `"ratings.shop"`, `"ratings"`, `"240.0.0.2"`} {
		if !strings.Contains(route, domain) {
			t.Errorf("no route for %s: %s", domain, route)
		}
	}
	if cluster := c.text(v3.ClusterType, ratingsCluster); !strings.Contains(cluster, "spiffe://isthmus.local/ns/shop/sa/ratings") {
		t.Errorf("callers of ratings do not check who answers: %s", cluster)
	}
	c.await("names", func() bool { return strings.Contains(c.text(v3.NameTableType, ""), "ratings.shop.mesh") })
}

// A service that nobody routes is retried as ours are, not as Istio's.
func TestDefaultRetries(t *testing.T) {
	w := shop(t)
	c := w.connect(sidecar("reviews", "reviews-1", "10.0.0.1"))
	w.awaitReceipt("reviews-1", 1)
	route := c.text(v3.RouteType, "9080")
	for _, want := range []string{
		`retry_on:"connect-failure,refused-stream,reset-before-request,unavailable"num_retries:{value:2}`, `"envoy.retry_host_predicates.previous_hosts"`,
	} {
		if !strings.Contains(route, want) {
			t.Errorf("no %s in %s", want, route)
		}
	}
}

func TestIstioIsSetUpForUpstreamEnvoy(t *testing.T) {
	setFeatures()
	if features.ALPNFilter || features.MetadataExchange || features.WorkloadEntryHealthChecks {
		t.Error("a feature that needs Istio's own Envoy, or its controllers, is on")
	}
	if !features.EnableDualStack || !features.EnableXDSIdentityCheck || !features.XDSAuth {
		t.Error("a feature we rely on is off")
	}
	if last := xds.PushOrder[len(xds.PushOrder)-1]; last != tailType {
		t.Errorf("%s comes after the tail", last)
	}
	if m := meshConfig(trustDomain, nil); m.TrustDomain != trustDomain || len(m.ExtensionProviders) > 0 {
		t.Errorf("mesh configuration %v", m)
	}
}

func TestOnlyUpstreamTypes(t *testing.T) {
	w := shop(t)
	gateway := gatewayWorkload()
	w.pilot.SetWorkloads([]Workload{explicitWorkload(), gateway}, nil)
	w.apply(2, reviewsRoute(t, "1", "/v[0-9]"), ingressGateway(t))
	for _, workload := range []Workload{sidecar("reviews", "reviews-1", "10.0.0.1"), explicitWorkload(), gateway} {
		c := w.connect(workload)
		w.awaitReceipt(workload.Name, 2)
		c.mu.Lock()
		for typeURL, resources := range c.has {
			for _, r := range resources {
				if typeURL != v3.NameTableType {
					onlyUpstream(t, workload.Name+"/"+r.Name, r.Resource)
				}
			}
		}
		c.mu.Unlock()
	}
}

// onlyUpstream looks at every message inside an Any.
func onlyUpstream(t *testing.T, where string, a *anypb.Any) {
	t.Helper()
	m, err := a.UnmarshalNew()
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	name := string(m.ProtoReflect().Descriptor().FullName())
	if !strings.HasPrefix(name, "envoy.") && !strings.HasPrefix(name, "google.protobuf.") || strings.Contains(name, "metadataexchange") {
		t.Errorf("%s has a %s", where, name)
	}
	anys(m.ProtoReflect(), func(inner *anypb.Any) { onlyUpstream(t, where, inner) })
}

func anys(m protoreflect.Message, see func(*anypb.Any)) {
	if a, ok := m.Interface().(*anypb.Any); ok {
		see(a)
		return
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap() && f.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { anys(v.Message(), see); return true })
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				anys(v.List().Get(i).Message(), see)
			}
		case !f.IsMap() && f.Message() != nil:
			anys(v.Message(), see)
		}
		return true
	})
}

func TestRefusedStreams(t *testing.T) {
	w := newWorld(t)
	reviews := sidecar("reviews", "reviews-1", "10.0.0.1")
	id := identity.Workload(trustDomain, "shop", "reviews")
	refused := func(name string, id identity.ID, node string, want codes.Code) {
		t.Run(name, func(t *testing.T) {
			c := newClient(t)
			w.dial(c, id, node)
			c.await("refusal", func() bool { return c.err != nil })
			if got := status.Code(c.err); got != want {
				t.Errorf("%v, want %s", c.err, want)
			}
		})
	}
	node := w.pilot.NodeID(reviews)
	w.pilot.SetWorkloads([]Workload{reviews}, nil)
	refused("no configuration yet", id, node, codes.Unavailable)
	w.furnish()
	refused("another service", identity.Workload(trustDomain, "shop", "ratings"), node, codes.PermissionDenied)
	refused("another workspace", identity.Workload(trustDomain, "bank", "reviews"), node, codes.PermissionDenied)
	refused("an edge", identity.Edge(trustDomain, "dc1", "edge-2"), node, codes.PermissionDenied)
	refused("unknown workload", id, strings.ReplaceAll(node, "reviews-1", "reviews-2"), codes.PermissionDenied)
	refused("no node", id, "", codes.InvalidArgument)
	if n := w.pilot.Refused(); n[codes.PermissionDenied] != 4 || n[codes.Unavailable] != 1 {
		t.Errorf("counted %v", n)
	}
}

func TestNodeIsNotBelieved(t *testing.T) {
	w := shop(t)
	c := newClient(t)
	reviews := sidecar("reviews", "reviews-1", "10.0.0.1")
	node := strings.Replace(w.pilot.NodeID(reviews), "sidecar~10.0.0.1", "router~10.9.9.9", 1)
	w.dial(c, identity.Workload(trustDomain, "shop", "reviews"), node)
	w.awaitReceipt("reviews-1", 1)
	c.await("a sidecar's listeners", func() bool { return c.has[v3.ListenerType]["virtualInbound"] != nil })
}

func TestHealthReachesEndpointsOnly(t *testing.T) {
	w := shop(t)
	c := w.connect(sidecar("reviews", "reviews-1", "10.0.0.1"))
	w.awaitReceipt("reviews-1", 1)
	ratings := sidecar("ratings", "ratings-1", "10.0.0.2")
	before := c.counts()
	for range 3 {
		ratings.Healthy = false
		w.pilot.SetWorkloads([]Workload{ratings}, nil)
		c.await("bad health", func() bool { return strings.Contains(c.text(v3.EndpointType, ratingsCluster), "UNHEALTHY") })
		ratings.Healthy = true
		w.pilot.SetWorkloads([]Workload{ratings}, nil)
		c.await("good health", func() bool { return !strings.Contains(c.text(v3.EndpointType, ratingsCluster), "UNHEALTHY") })
	}
	w.pilot.SetWorkloads([]Workload{sidecar("ratings", "ratings-2", "10.0.0.3")}, nil)
	c.await("a second workload", func() bool { return strings.Contains(c.text(v3.EndpointType, ratingsCluster), "10.0.0.3") })
	w.pilot.SetWorkloads(nil, []string{"ratings-1"})
	c.await("the first gone", func() bool { return !strings.Contains(c.text(v3.EndpointType, ratingsCluster), "10.0.0.2") })
	after := c.counts()
	if after[v3.EndpointType] != before[v3.EndpointType]+8 {
		t.Errorf("%d endpoint resources for 8 changes", after[v3.EndpointType]-before[v3.EndpointType])
	}
	delete(before, v3.EndpointType)
	delete(after, v3.EndpointType)
	if !maps.Equal(before, after) {
		t.Errorf("more than endpoints was sent: %v, then %v", before, after)
	}
}

func TestReshapedWorkloadGetsAnotherNode(t *testing.T) {
	w := shop(t)
	reviews := sidecar("reviews", "reviews-1", "10.0.0.1")
	c := w.connect(reviews)
	w.awaitReceipt("reviews-1", 1)
	reviews.Ports = append(reviews.Ports, Port{Port: 9443, Protocol: "tcp"})
	w.pilot.SetWorkloads([]Workload{reviews}, nil)
	c.await("hanging up", func() bool { return c.err != nil })
	if status.Code(c.err) != codes.Unavailable {
		t.Errorf("%v: the agent must come back", c.err)
	}
}

func TestInvalidResourcesAreRefusedAlone(t *testing.T) {
	w := shop(t)
	w.connect(sidecar("reviews", "reviews-1", "10.0.0.1"))
	w.awaitReceipt("reviews-1", 1)
	noSpec := func(name string, m proto.Message) *feedpb.Resource { return pack(t, name, "1", m) }
	bad := []*feedpb.Resource{
		noSpec("VirtualService/shop/empty", &networking.VirtualService{}),
		noSpec("VirtualService/shop/mistaken", &networking.Gateway{}),
		noSpec("WorkloadEntry/shop/foreign", &networking.WorkloadEntry{Address: "10.0.0.1"}),
		noSpec("Nonsense/shop/x", &networking.Gateway{}),
		noSpec("two/parts", &networking.Gateway{}),
		noSpec("Secret/shop/cert", &feedpb.Secret{Certificate: []byte("x"), Key: []byte("y")}),
		{Name: "VirtualService/shop/garbage", Version: "1", Body: &anypb.Any{TypeUrl: "type.googleapis.com/istio.networking.v1alpha3.VirtualService", Value: []byte("\xff")}},
	}
	err := w.pilot.Apply(2, append(bad, reviewsRoute(t, "1", "/a.*")), nil)
	if err == nil {
		t.Fatal("no error")
	}
	w.awaitReceipt("reviews-1", 2)
	w.events.await(t, "rejections", func() bool { return len(w.events.rejected) == len(bad) })
	for _, r := range bad {
		if !strings.Contains(err.Error(), r.Name) {
			t.Errorf("nothing about %s in %v", r.Name, err)
		}
	}
	if got := len(w.pilot.Rejections()); got != len(bad) {
		t.Errorf("%d rejections, want %d", got, len(bad))
	}
}

func TestProxyThatDoesNotReadHoldsUpNobody(t *testing.T) {
	o := newOutgoing()
	big := &discovery.DeltaDiscoveryResponse{Resources: []*discovery.Resource{{Resource: &anypb.Any{Value: make([]byte, maxBacklog/2)}}}}
	if !o.add(big) || o.add(big) {
		t.Error("want one to fit and the second not")
	}
	ctx, cancel := context.WithCancel(t.Context())
	o.run(ctx, func(*discovery.DeltaDiscoveryResponse) error { cancel(); return nil })
	if o.backlog > maxBacklog {
		t.Errorf("%d bytes wait after all were sent", o.backlog)
	}
}

func TestHubFromABackup(t *testing.T) {
	w := shop(t)
	w.connect(sidecar("reviews", "reviews-1", "10.0.0.1"))
	w.apply(9, reviewsRoute(t, "1", "/a.*"))
	w.awaitReceipt("reviews-1", 9)
	w.apply(5, reviewsRoute(t, "2", "/b.*"))
	w.events.await(t, "a receipt of the older revision", func() bool { return w.events.receipts["reviews-1"] == 5 })
}

func TestManyObjectsAtOnce(t *testing.T) {
	w := shop(t)
	w.connect(sidecar("reviews", "reviews-1", "10.0.0.1"))
	w.awaitReceipt("reviews-1", 1)
	var many []*feedpb.Resource
	for i := range 5000 {
		name := fmt.Sprintf("s%d", i)
		many = append(many, shopService(t, name, fmt.Sprintf("240.1.%d.%d", i/250, i%250+1), 9080, "HTTP"), hostRoute(t, name, "1", "x"))
	}
	start := time.Now()
	w.apply(2, many...)
	w.awaitReceipt("reviews-1", 2)
	t.Logf("10,000 objects in %s", time.Since(start))
}

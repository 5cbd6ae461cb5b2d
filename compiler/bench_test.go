package compiler_test

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler"
)

// fleet makes a mesh of services in workspaces of a hundred, each with three routes: a canary and a
// route by header on the service, and one at the gateway of its workspace.
func fleet(services int) []compiler.Change {
	all := []compiler.Change{change("Zone", &v1alpha1.Zone{ObjectMeta: metav1.ObjectMeta{Name: "dc1"}})}
	for i := range services {
		workspace := fmt.Sprintf("ws%d", i/100)
		if i%100 == 0 {
			all = append(all, change("Workspace", &v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: workspace}}),
				change("Gateway", publicGateway(workspace)))
		}
		name := fmt.Sprintf("svc%d", i)
		all = append(all, compiler.Change{Kind: compiler.KindDiscovered, Namespace: workspace, Name: name, Object: &compiler.Discovered{
			Workspace: workspace, Name: name, Versions: []string{"v1", "v2"}, Zones: []string{"dc1"},
			Ports: []compiler.DiscoveredPort{{Port: 9080, Protocol: "http"}},
		}})
		all = append(all, canary(workspace, name, 90), byHeader(workspace, name), atGateway(workspace, name))
	}
	return all
}

func publicGateway(workspace string) *gatewayv1.Gateway {
	return &gatewayv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: workspace, Name: "public"}, Spec: gatewayv1.GatewaySpec{
		GatewayClassName: "isthmus",
		Listeners:        []gatewayv1.Listener{{Name: "http", Port: 8080, Protocol: gatewayv1.HTTPProtocolType}},
	}}
}

func httpRoute(workspace, name string, parent gatewayv1.ParentReference, rule gatewayv1.HTTPRouteRule) *gatewayv1.HTTPRoute {
	return &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: workspace, Name: name}, Spec: gatewayv1.HTTPRouteSpec{
		CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: []gatewayv1.ParentReference{parent}},
		Rules:           []gatewayv1.HTTPRouteRule{rule},
	}}
}

func serviceParent(name string) gatewayv1.ParentReference {
	return gatewayv1.ParentReference{Group: to(gatewayv1.Group("isthmus.dev")), Kind: to(gatewayv1.Kind("Service")), Name: gatewayv1.ObjectName(name)}
}

func subsetBackend(name string, weight int32) gatewayv1.HTTPBackendRef {
	return gatewayv1.HTTPBackendRef{BackendRef: gatewayv1.BackendRef{Weight: &weight, BackendObjectReference: gatewayv1.BackendObjectReference{
		Group: to(gatewayv1.Group("isthmus.dev")), Kind: to(gatewayv1.Kind("Subset")), Name: gatewayv1.ObjectName(name),
	}}}
}

func canary(workspace, service string, weight int32) compiler.Change {
	return change("HTTPRoute", httpRoute(workspace, service, serviceParent(service), gatewayv1.HTTPRouteRule{
		BackendRefs: []gatewayv1.HTTPBackendRef{subsetBackend(service+"-v1", weight), subsetBackend(service+"-v2", 100-weight)},
	}))
}

func byHeader(workspace, service string) compiler.Change {
	return change("HTTPRoute", httpRoute(workspace, service+"-test", serviceParent(service), gatewayv1.HTTPRouteRule{
		Matches:     []gatewayv1.HTTPRouteMatch{{Headers: []gatewayv1.HTTPHeaderMatch{{Name: "x-test", Value: "1"}}}},
		BackendRefs: []gatewayv1.HTTPBackendRef{subsetBackend(service+"-v2", 1)},
	}))
}

func atGateway(workspace, service string) compiler.Change {
	route := httpRoute(workspace, service+"-public", gatewayv1.ParentReference{Name: "public"}, gatewayv1.HTTPRouteRule{
		Matches:     []gatewayv1.HTTPRouteMatch{{Path: &gatewayv1.HTTPPathMatch{Value: to("/api")}}},
		BackendRefs: []gatewayv1.HTTPBackendRef{{BackendRef: gatewayv1.BackendRef{BackendObjectReference: gatewayv1.BackendObjectReference{Name: gatewayv1.ObjectName(service), Port: to(int32(9080))}}}},
	})
	route.Spec.Hostnames = []gatewayv1.Hostname{gatewayv1.Hostname(service + ".example.com")}
	return change("HTTPRoute", route)
}

func to[T any](v T) *T { return &v }

// BenchmarkWhole compiles a mesh from nothing.
func BenchmarkWhole(b *testing.B) {
	for _, services := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprintf("services=%d", services), func(b *testing.B) {
			all := fleet(services)
			b.ReportAllocs()
			for b.Loop() {
				out := compiler.New(compiler.Options{TrustDomain: "isthmus.local"}).Apply(1, all)
				if len(out.Zones["dc1"].Upserts) < 4*services {
					b.Fatalf("%d resources", len(out.Zones["dc1"].Upserts))
				}
			}
		})
	}
}

// BenchmarkOneRoute shifts the weight of one route in a mesh of 10,000 services with three routes each.
func BenchmarkOneRoute(b *testing.B) {
	c := compiler.New(compiler.Options{TrustDomain: "isthmus.local"})
	c.Apply(1, fleet(10000))
	var weight int32
	b.ReportAllocs()
	for b.Loop() {
		weight = (weight + 1) % 100
		out := c.Apply(2, []compiler.Change{canary("ws42", "svc4242", weight)})
		if len(out.Zones["dc1"].Upserts) != 1 {
			b.Fatalf("%d resources", len(out.Zones["dc1"].Upserts))
		}
	}
}

// BenchmarkOneService adds a service, and takes it away, in a mesh of 10,000.
func BenchmarkOneService(b *testing.B) {
	c := compiler.New(compiler.Options{TrustDomain: "isthmus.local"})
	c.Apply(1, fleet(10000))
	added := fleet(1)[3]
	added.Namespace, added.Name = "ws42", "new"
	removed := added
	removed.Object = nil
	b.ReportAllocs()
	for b.Loop() {
		c.Apply(2, []compiler.Change{added})
		c.Apply(3, []compiler.Change{removed})
	}
}

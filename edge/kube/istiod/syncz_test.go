package istiod

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// words as istiod 1.31 says them.
const synczPage = `[
 {"proxy": "web-1.shop", "proxy_type": "sidecar", "resources": {
  "type.googleapis.com/envoy.config.cluster.v3.Cluster": {"sent": "t/1a", "acked": "t/1a"},
  "type.googleapis.com/envoy.config.listener.v3.Listener": {"sent": "t/1b", "acked": "t/1b"},
  "type.googleapis.com/envoy.config.route.v3.RouteConfiguration": {"sent": "t/2c", "acked": "t/2c", "sentTime": "2026-11-27T01:00:00Z"}}},
 {"proxy": "late-1.shop", "proxy_type": "sidecar", "resources": {
  "type.googleapis.com/envoy.config.cluster.v3.Cluster": {"sent": "t/1a", "acked": "t/1a"},
  "type.googleapis.com/envoy.config.listener.v3.Listener": {"sent": "t/2b", "acked": "t/1b"}}},
 {"proxy": "young.shop", "proxy_type": "sidecar", "resources": {
  "type.googleapis.com/envoy.config.cluster.v3.Cluster": {"sent": "t/1a", "acked": "t/1a"}}},
 {"proxy": "sick.one.shop", "proxy_type": "router", "resources": {
  "type.googleapis.com/envoy.config.cluster.v3.Cluster": {"sent": "t/1a", "acked": "t/1a"},
  "type.googleapis.com/envoy.config.listener.v3.Listener": {"sent": "t/2b", "acked": "t/1b", "lastError": "no such filter\n"}}},
 {"proxy": "twice.shop", "proxy_type": "sidecar", "resources": {
  "type.googleapis.com/envoy.config.cluster.v3.Cluster": {"sent": "t/1a", "acked": "t/1a"},
  "type.googleapis.com/envoy.config.listener.v3.Listener": {"sent": "t/1b", "acked": "t/1b"}}},
 {"proxy": "twice.shop", "proxy_type": "sidecar", "resources": {}},
 {"proxy": "node.istio-system", "proxy_type": "ztunnel"}
]`

func TestParseProxies(t *testing.T) {
	got, err := parseProxies([]byte(synczPage))
	want := map[string]Proxy{
		"web-1.shop":    {Namespace: "shop", Name: "web-1", Current: true, Sent: "t/1at/1bt/2c"},
		"late-1.shop":   {Namespace: "shop", Name: "late-1", Sent: "t/1at/2b"},
		"young.shop":    {Namespace: "shop", Name: "young", Sent: "t/1a"},
		"sick.one.shop": {Namespace: "shop", Name: "sick.one", Refusal: "no such filter", Sent: "t/1at/2b"},
		"twice.shop":    {Namespace: "shop", Name: "twice", Sent: "t/1at/1b"},
	}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	if _, err := parseProxies([]byte("not allowed")); err == nil {
		t.Error("what is no page is taken for one")
	}
}

func TestParseObjects(t *testing.T) {
	got, err := parseObjects([]byte(`[
 {"kind": "Gateway", "apiVersion": "networking.istio.io/v1", "metadata": {"name": "a", "namespace": "x", "resourceVersion": "12", "labels": {"l": "v"}}},
 {"kind": "Gateway", "apiVersion": "gateway.networking.k8s.io/v1", "metadata": {"name": "a", "namespace": "x", "resourceVersion": "99"}}]`))
	want := map[string]Object{"Gateway/x/a": {Labels: map[string]string{"l": "v"}, Version: 12}}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	if _, err := parseObjects([]byte("[{")); err == nil {
		t.Error("what is no page is taken for one")
	}
}

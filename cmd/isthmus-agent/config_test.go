package main

import (
	"fmt"
	"net"
	"testing"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"

	"github.com/isthmus-mesh/isthmus/agent/edgetest"
)

const (
	clusterType  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	listenerType = "type.googleapis.com/envoy.config.listener.v3.Listener"
	routeType    = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
)

// freePort is a port nobody listens on at the moment.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func parse[M proto.Message](t testing.TB, message M, format string, args ...any) M {
	t.Helper()
	if err := protojson.Unmarshal(fmt.Appendf(nil, format, args...), message); err != nil {
		t.Fatal(err)
	}
	return message
}

// publish makes the zone's configuration a listener at port, with plain text or mutual TLS, that leads
// to an application by way of a route, a cluster and endpoints.
func publish(t testing.TB, zone *edgetest.Zone, port, application int, tls bool) {
	zone.Set("app", parse(t, &cluster.Cluster{}, `{"name": "app", "type": "EDS", "connectTimeout": "1s",
		"edsClusterConfig": {"edsConfig": {"ads": {}, "resourceApiVersion": "V3"}}}`))
	zone.Set("app", parse(t, &endpoint.ClusterLoadAssignment{}, `{"clusterName": "app", "endpoints": [{"lbEndpoints": [
		{"endpoint": {"address": {"socketAddress": {"address": "127.0.0.1", "portValue": %d}}}}]}]}`, application))
	publishListener(t, zone, "inbound", "127.0.0.1", port, tls)
	publishRoute(t, zone, "1")
}

func publishRoute(t testing.TB, zone *edgetest.Zone, version string) {
	zone.Set("routes", parse(t, &route.RouteConfiguration{}, `{"name": "routes", "virtualHosts": [{"name": "all", "domains": ["*"],
		"routes": [{"match": {"prefix": "/"}, "route": {"cluster": "app"}}],
		"responseHeadersToAdd": [{"header": {"key": "version", "value": %q}}]}]}`, version))
}

const mutualTLS = `"transportSocket": {"name": "tls", "typedConfig": {
	"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", "requireClientCertificate": true,
	"commonTlsContext": {
		"tlsCertificateSdsSecretConfigs": [{"name": "default", "sdsConfig": %[1]s}],
		"validationContextSdsSecretConfig": {"name": "ROOTCA", "sdsConfig": %[1]s}}}},`

const sdsSource = `{"resourceApiVersion": "V3", "apiConfigSource": {"apiType": "GRPC", "transportApiVersion": "V3",
	"setNodeOnFirstMessageOnly": true, "grpcServices": [{"envoyGrpc": {"clusterName": "sds-grpc"}}]}}`

func publishListener(t testing.TB, zone *edgetest.Zone, name, address string, port int, tls bool) {
	socket := ""
	if tls {
		socket = fmt.Sprintf(mutualTLS, sdsSource)
	}
	zone.Set(name, parse(t, &listener.Listener{}, `{"name": %q, "address": {"socketAddress": {"address": %q, "portValue": %d}},
		"filterChains": [{`+socket+`"filters": [{"name": "http", "typedConfig": {
			"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
			"statPrefix": "in", "rds": {"routeConfigName": "routes", "configSource": {"ads": {}, "resourceApiVersion": "V3"}},
			"httpFilters": [{"name": "router", "typedConfig": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]
		}}]}]}`, name, address, port))
}

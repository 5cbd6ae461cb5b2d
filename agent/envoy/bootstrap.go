package envoy

import "encoding/json"

// Bootstrap is what Envoy must know before it can ask.
type Bootstrap struct {
	// NodeID is what the edge calls this Envoy.
	NodeID string
	// Socket is the agent's Unix socket, for configuration and secrets.
	Socket string
	// Admin is the Unix socket of Envoy's administration.
	Admin string
	// MaxConnections bounds downstream connections.
	MaxConnections int
}

type object = map[string]any

// Render writes the bootstrap. Equal input gives equal text.
func (b Bootstrap) Render() []byte {
	text, err := json.MarshalIndent(object{
		"node":              object{"id": b.NodeID, "cluster": "isthmus"},
		"admin":             object{"address": object{"pipe": object{"path": b.Admin, "mode": 0o600}}},
		"dynamic_resources": b.dynamic(),
		// Istio's configuration asks the cluster sds-grpc for certificates.
		"static_resources": object{"clusters": []object{b.cluster("xds-grpc"), b.cluster("sds-grpc")}},
		"overload_manager": object{"resource_monitors": []object{{
			"name": "envoy.resource_monitors.global_downstream_max_connections",
			"typed_config": object{
				"@type":                             "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
				"max_active_downstream_connections": b.MaxConnections,
			},
		}}},
	}, "", "  ")
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return append(text, '\n')
}

func (b Bootstrap) dynamic() object {
	aggregated := object{"ads": object{}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
	return object{
		"lds_config": aggregated, "cds_config": aggregated,
		"ads_config": object{
			"api_type": "DELTA_GRPC", "transport_api_version": "V3", "set_node_on_first_message_only": true,
			"grpc_services": []object{{"envoy_grpc": object{
				"cluster_name": "xds-grpc",
				"retry_policy": object{"retry_back_off": object{"base_interval": "0.1s", "max_interval": "1s"}},
			}}},
		},
	}
}

// cluster is a way to the agent.
func (b Bootstrap) cluster(name string) object {
	endpoint := object{"endpoint": object{"address": object{"pipe": object{"path": b.Socket}}}}
	return object{
		"name": name, "type": "STATIC", "connect_timeout": "1s",
		"typed_extension_protocol_options": object{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": object{
			"@type":                "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
			"explicit_http_config": object{"http2_protocol_options": object{}},
		}},
		"load_assignment": object{"cluster_name": name, "endpoints": []object{{"lb_endpoints": []object{endpoint}}}},
	}
}

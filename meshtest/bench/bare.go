package main

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/isthmus-mesh/isthmus/identity"
)

// What somebody would write by hand for two Envoys with mutual TLS between them: nothing else.

type object = map[string]any

// startBarePair starts the peers of the measurement.
func startBarePair(dir, program string, port int) (out []*process, err error) {
	if err := writeCertificates(dir); err != nil {
		return nil, err
	}
	server := bareConfig(bareServer, servicePort, "127.0.0.1", port, bareTLS(dir, "Downstream"), nil)
	client := bareConfig(bareClient, entryPort, bareServer, servicePort, nil, bareTLS(dir, "Upstream"))
	for name, config := range map[string]object{"bare-server": server, "bare-client": client} {
		text, err := json.Marshal(config)
		if err != nil {
			return out, err
		}
		path := filepath.Join(dir, name+".json")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return out, err
		}
		p, err := start(dir, name, program, "-c", path, "--concurrency", "2", "--disable-hot-restart", "--log-level", "warning")
		if err != nil {
			return out, err
		}
		out = append(out, p)
	}
	return out, nil
}

func bareConfig(listen string, port int, to string, toPort int, downstream, upstream object) object {
	chain := object{"filters": []object{{"name": "http", "typed_config": object{
		"@type":       "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
		"stat_prefix": "bare",
		"route_config": object{"virtual_hosts": []object{{"name": "all", "domains": []string{"*"},
			"routes": []object{{"match": object{"prefix": "/"}, "route": object{"cluster": "next"}}}}}},
		"http_filters": []object{{"name": "router", "typed_config": object{"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}},
	}}}}
	if downstream != nil {
		chain["transport_socket"] = downstream
	}
	cluster := object{"name": "next", "type": "STATIC", "connect_timeout": "1s", "load_assignment": object{"cluster_name": "next",
		"endpoints": []object{{"lb_endpoints": []object{{"endpoint": object{"address": socket(to, toPort)}}}}}}}
	if upstream != nil {
		cluster["transport_socket"] = upstream
	}
	return object{"static_resources": object{
		"listeners": []object{{"name": "in", "address": socket(listen, port), "filter_chains": []object{chain}}},
		"clusters":  []object{cluster},
	}}
}

func socket(address string, port int) object {
	return object{"socket_address": object{"address": address, "port_value": port}}
}

func bareTLS(dir, side string) object {
	config := object{
		"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3." + side + "TlsContext",
		"common_tls_context": object{
			"tls_certificates": []object{{"certificate_chain": object{"filename": filepath.Join(dir, "bare.crt")}, "private_key": object{"filename": filepath.Join(dir, "bare.key")}}},
			"validation_context": object{
				"trusted_ca":                    object{"filename": filepath.Join(dir, "bare-root.crt")},
				"match_typed_subject_alt_names": []object{{"san_type": "URI", "matcher": object{"prefix": "spiffe://bare/"}}},
			},
		},
	}
	if side == "Downstream" {
		config["require_client_certificate"] = true
	}
	return object{"name": "tls", "typed_config": config}
}

// writeCertificates makes a root and one certificate that both sides use.
func writeCertificates(dir string) error {
	key, err := identity.NewKey()
	if err != nil {
		return err
	}
	root, err := identity.NewRoot("bare", key, time.Now)
	if err != nil {
		return err
	}
	own, err := identity.NewKey()
	if err != nil {
		return err
	}
	csr, err := identity.NewRequest(own)
	if err != nil {
		return err
	}
	leaf, err := root.Sign(csr, identity.Workload("bare", "bench", "echo"), 24*time.Hour, nil, nil)
	if err != nil {
		return err
	}
	chain, err := identity.ParseCertificates(leaf)
	if err != nil {
		return err
	}
	text, err := identity.EncodeKey(own)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"bare.key": text, "bare.crt": identity.EncodeCertificates(chain), "bare-root.crt": identity.EncodeCertificates([]*x509.Certificate{root.Certificate()}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return fmt.Errorf("certificates: %w", err)
		}
	}
	return nil
}

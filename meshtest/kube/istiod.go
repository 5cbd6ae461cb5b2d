package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// Istio is how a zone's Istio is installed. The zero value is a good installation.
type Istio struct {
	// TrustDomain of its identities; default is "cluster.local".
	TrustDomain string
	// TrustDomainAliases are other domains whose identities count as its own.
	TrustDomainAliases []string
	// ClusterID is the cluster's name in Istio; default is the zone's.
	ClusterID string
	// Network the pods are in; none by default.
	Network string
	// CA signs the identities; without one istiod makes a root of its own.
	CA *CA
	// Debounce is how long istiod waits for more changes; default is Istio's 100 ms.
	Debounce time.Duration
	// Env is put into istiod's environment, above what we put there.
	Env map[string]string
	// Mesh is put into the mesh configuration, above what we put there; of defaultConfig only proxyMetadata counts.
	Mesh map[string]any
	// Replicas is how many istiods run, as [Zone.Replicas]; default is one.
	Replicas int
}

// proxyMetadata is what Istio's webhook would put into the environment of proxies.
func (i Istio) proxyMetadata() map[string]any {
	config, _ := i.Mesh["defaultConfig"].(map[string]any)
	metadata, _ := config["proxyMetadata"].(map[string]any)
	return metadata
}

// CA is an authority plugged into istiod, all PEM. Chain goes from the authority's certificate up to the root, and
// is made of the two if it is empty.
type CA struct{ Certificate, Key, Chain, Root []byte }

// Ports of istiod.
const (
	istiodPort     = 15012
	istiodHTTP     = "127.0.0.1:8080" // on the zone's machine; debugging answers only callers from there
	istioNamespace = "istio-system"
	istiodHost     = "istiod." + istioNamespace + ".svc"
)

func (i Istio) trustDomain() string { return cmp.Or(i.TrustDomain, "cluster.local") }

// IstiodAddress is where proxies find istiod, by TLS.
func (z *Zone) IstiodAddress() string { return istiodAt(z.Machine) }

func istiodAt(m *meshtest.Machine) string { return fmt.Sprintf("%s:%d", m.IPv4, istiodPort) }

// StartIstiod runs stock istiod on the zone's machine, against the API server; Istio's kinds must be installed. It
// knows no filter of Istio's own Envoy, so that its proxies can be upstream's.
func (z *Zone) StartIstiod(istio Istio) {
	z.t.Helper()
	istio.ClusterID = cmp.Or(istio.ClusterID, z.Name)
	z.istio = istio
	z.Apply(istioSystem(istio.Network))
	z.writeIstiodFiles()
	z.Istiod = z.run("istiod", z.istiod("istiod-"+z.Name, z.Machine))
	z.t.Cleanup(z.Istiod.Kill) // what it would do to end well is for those who stay
	z.Replicas = []*Replica{{"istiod-" + z.Name, z.Machine, z.Istiod}}
	z.WaitIstiod()
	for len(z.Replicas) < istio.Replicas {
		z.addReplica()
	}
	z.showReplicas()
}

func istioSystem(network string) string {
	labels := "{}"
	if network != "" {
		labels = fmt.Sprintf("{topology.istio.io/network: %s}", network)
	}
	return "{apiVersion: v1, kind: Namespace, metadata: {name: " + istioNamespace + ", labels: " + labels + "}}"
}

// WaitIstiod waits until istiod serves.
func (z *Zone) WaitIstiod() {
	z.t.Helper()
	z.Replicas[0].WaitReady(z)
}

// AskIstiod gets a path of istiod's HTTP server, for instance /debug/syncz, as one who is on its machine.
func (z *Zone) AskIstiod(path string) ([]byte, error) {
	return z.Replicas[0].Ask(z.t.Context(), path)
}

// Refused is what proxies refuse of their configuration at this moment, by proxy ("NAME.NAMESPACE"), as their Envoys
// put it.
func (z *Zone) Refused() (map[string]string, error) {
	text, err := z.AskIstiod("/debug/syncz")
	if err != nil {
		return nil, err
	}
	var proxies []struct {
		Proxy     string
		Resources map[string]struct{ LastError string }
	}
	if err := json.Unmarshal(text, &proxies); err != nil {
		return nil, fmt.Errorf("%w in %s", err, text)
	}
	refused := map[string]string{}
	for _, p := range proxies {
		for _, resource := range p.Resources {
			if resource.LastError != "" {
				refused[p.Proxy] += resource.LastError
			}
		}
	}
	return refused, nil
}

// get gets a URL from a machine, past capture and names.
func get(ctx context.Context, m *meshtest.Machine, url string) ([]byte, error) {
	client := &http.Client{Transport: &http.Transport{DialContext: m.DialContext, DisableKeepAlives: true}, Timeout: 10 * time.Second}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.200s", url, response.Status, body)
	}
	return body, err
}

// istiod is the command of one with a name on a machine. It looks for files below its working directory.
func (z *Zone) istiod(name string, m *meshtest.Machine) func() []string {
	return func() []string { return z.istiodCommand(name, m) }
}

func (z *Zone) istiodCommand(name string, m *meshtest.Machine) []string {
	env := []string{"env", "--chdir=" + z.file("istiod"),
		"POD_NAMESPACE=" + istioNamespace, "POD_NAME=" + name, "REVISION=default", "CLUSTER_ID=" + z.istio.ClusterID,
		"PILOT_CERT_PROVIDER=istiod", "INJECTION_WEBHOOK_CONFIG_NAME=", "VALIDATION_WEBHOOK_CONFIG_NAME=",
		"PILOT_ENABLE_ALPN_FILTER=false", "PILOT_ENABLE_METADATA_EXCHANGE=false", // filters of Istio's own Envoy
		"PILOT_MAX_REQUESTS_PER_SECOND=10000"} // which is scaled to cores otherwise
	if z.istio.Debounce > 0 {
		env = append(env, "PILOT_DEBOUNCE_AFTER="+z.istio.Debounce.String())
	}
	for name, value := range z.istio.Env {
		env = append(env, name+"="+value)
	}
	return append(slices.Clip(env), z.programs.Istiod, "discovery", "--kubeconfig="+z.Kubeconfig, "--meshConfig="+z.file("istiod/mesh.yaml"),
		"--httpAddr=:8080", "--httpsAddr=", "--grpcAddr=", "--secureGRPCAddr="+istiodAt(m), "--monitoringAddr=:15014",
		"--ctrlz_port=0", "--domain=cluster.local")
}

func (z *Zone) writeIstiodFiles() {
	z.t.Helper()
	files := map[string][]byte{"mesh.yaml": z.meshConfig()}
	if ca := z.istio.CA; ca != nil {
		chain := ca.Chain
		if len(chain) == 0 {
			chain = slices.Concat(ca.Certificate, ca.Root)
		}
		files["etc/cacerts/ca-cert.pem"], files["etc/cacerts/ca-key.pem"] = ca.Certificate, ca.Key
		files["etc/cacerts/cert-chain.pem"], files["etc/cacerts/root-cert.pem"] = chain, ca.Root
	}
	for name, text := range files {
		if err := writeFile(filepath.Join(z.file("istiod"), name), text); err != nil {
			z.t.Fatal(err)
		}
	}
}

// meshConfig names no provider of metrics: Istio's own is a filter that upstream's Envoy has not.
func (z *Zone) meshConfig() []byte {
	config := map[string]any{
		"trustDomain": z.istio.trustDomain(), "rootNamespace": istioNamespace,
		"defaultConfig": map[string]any{"discoveryAddress": fmt.Sprintf("%s:%d", istiodHost, istiodPort)},
	}
	if aliases := z.istio.TrustDomainAliases; len(aliases) > 0 {
		config["trustDomainAliases"] = aliases
	}
	for name, value := range z.istio.Mesh {
		if name != "defaultConfig" {
			config[name] = value
		}
	}
	text, err := json.Marshal(config) // which is YAML
	if err != nil {
		z.t.Fatal(err)
	}
	return text
}

// writeFile writes a file that every user may read, and its folders.
func writeFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

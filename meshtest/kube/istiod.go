package kube

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// Istiod runs Istio's stock control plane. With the files of a cacerts Secret (ca-cert.pem and so on) it
// signs with these.
func (c *Cluster) Istiod(trustDomain string, cacerts map[string][]byte) *meshtest.Process {
	c.t.Helper()
	dir := c.file("istiod")
	c.writeAll(filepath.Join(dir, "etc/cacerts"), cacerts)
	mesh := fmt.Sprintf("trustDomain: %s\nrootNamespace: istio-system\n", trustDomain)
	c.writeAll(dir, map[string][]byte{"mesh.yaml": []byte(mesh)})
	c.trustDomain = trustDomain
	at := func(port string) string { return net.JoinHostPort(c.ip, port) }
	p := c.run("istiod", func() []string {
		env := []string{"env", "-C", dir, "POD_NAMESPACE=istio-system", "POD_NAME=istiod-1", "REVISION=default", "CLUSTER_ID=" + clusterID,
			"PILOT_CERT_PROVIDER=istiod", "INJECTION_WEBHOOK_CONFIG_NAME=", "VALIDATION_WEBHOOK_CONFIG_NAME=",
			// Types that upstream's Envoy does not know:
			"PILOT_ENABLE_ALPN_FILTER=false", "PILOT_ENABLE_METADATA_EXCHANGE=false", "PILOT_MAX_REQUESTS_PER_SECOND=10000"}
		return append(env, c.programs.Istiod, "discovery", "--kubeconfig="+c.Kubeconfig, "--meshConfig="+filepath.Join(dir, "mesh.yaml"),
			"--httpAddr="+at("8080"), "--httpsAddr=", "--grpcAddr=", "--secureGRPCAddr="+at("15012"), "--monitoringAddr="+at("15014"),
			"--ctrlz_port=0", "--domain=cluster.local")
	})
	c.t.Cleanup(p.Kill)
	meshtest.Eventually(c.t, "istiod is ready", func() error {
		p.MustRun()
		_, err := c.machine.Run(c.t.Context(), "", "curl", "--silent", "--fail", "--max-time", "5", "http://"+at("8080")+"/ready")
		return err
	})
	return p
}

// clusterID is what istiod calls its cluster.
const clusterID = "Kubernetes"

func (c *Cluster) writeAll(dir string, files map[string][]byte) {
	c.t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		c.t.Fatal(err)
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, text, 0o644)
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

// labelText writes labels as the downward API does.
func labelText(labels map[string]string) []byte {
	var text strings.Builder
	for name, value := range labels {
		fmt.Fprintf(&text, "%s=%q\n", name, value)
	}
	return []byte(text.String())
}

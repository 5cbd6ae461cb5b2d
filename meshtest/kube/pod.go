package kube

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// Pod is what a test wants to run.
type Pod struct {
	// Name of the pod and of its machine, ten letters at most.
	Name, Namespace, ServiceAccount string
	Labels                          map[string]string
	// Gateway makes it a gateway of Istio's: no application, no capture.
	Gateway bool
	// Serve is the service of the sample shop that it runs, with flags; empty for a gateway.
	Serve []string
}

// Running is a pod that runs.
type Running struct {
	*meshtest.Machine
	// App is the application, nil in a gateway; Agent is Istio's.
	App, Agent *meshtest.Process

	c   *Cluster
	pod Pod
}

// Run does what a kubelet would: it makes the pod's object and network, runs Istio's agent with Envoy and the
// application in it, and tells the cluster as soon as it is ready.
func (c *Cluster) Run(pod Pod) *Running {
	c.t.Helper()
	r := &Running{Machine: c.world.Machine(pod.Name), c: c, pod: pod}
	labels := map[string]string{"security.istio.io/tlsMode": "istio"} // as Istio's webhook does
	maps.Copy(labels, pod.Labels)
	r.pod.Labels = labels
	c.create(r.pod)
	r.Status(false) // istiod must know the address before the proxy asks
	r.volumes()
	r.WriteEtc("resolv.conf", fmt.Sprintf("nameserver 10.77.0.1\nsearch %s.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n", pod.Namespace))
	if !pod.Gateway {
		r.App = r.Serve(pod.Serve[0], pod.Serve[1:]...)
		c.must(r.Machine.Run(c.t.Context(), capture, "nft", "-f", "-"))
	}
	r.Agent = r.Start("pilot-agent", r.agent)
	meshtest.Eventually(c.t, "the proxy of "+pod.Name+" is ready", func() error {
		r.Agent.MustRun()
		_, err := r.Machine.Run(c.t.Context(), "", "curl", "--silent", "--fail", "--max-time", "5", "http://127.0.0.1:15021/healthz/ready")
		return err
	})
	r.Status(true)
	return r
}

func (c *Cluster) must(out string, err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(out, err)
	}
}

// create makes the pod's object and its service account.
func (c *Cluster) create(pod Pod) {
	c.t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.ServiceAccount}}
	_, _ = c.Core.CoreV1().ServiceAccounts(pod.Namespace).Create(c.t.Context(), account, metav1.CreateOptions{}) // it may be there
	object := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, Labels: pod.Labels},
		Spec: corev1.PodSpec{NodeName: node, ServiceAccountName: pod.ServiceAccount,
			Containers: []corev1.Container{{Name: "app", Image: "none"}, {Name: "istio-proxy", Image: "none"}}},
	}
	if _, err := c.Core.CoreV1().Pods(pod.Namespace).Create(c.t.Context(), object, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

// Status tells the cluster whether the pod is ready.
func (r *Running) Status(ready bool) {
	r.c.t.Helper()
	is := corev1.ConditionFalse
	if ready {
		is = corev1.ConditionTrue
	}
	patch, err := json.Marshal(map[string]any{"status": corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: r.IPv4.String(), PodIPs: []corev1.PodIP{{IP: r.IPv4.String()}},
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: is}, {Type: corev1.ContainersReady, Status: is}},
	}})
	if err == nil {
		_, err = r.c.Core.CoreV1().Pods(r.pod.Namespace).Patch(r.c.t.Context(), r.pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	}
	if err != nil {
		r.c.t.Fatal(err)
	}
}

// proxyUser runs the agent and Envoy; capture knows them by it.
const proxyUser = "1337"

// volumes writes the files that Istio's agent finds in its pod.
func (r *Running) volumes() {
	r.c.t.Helper()
	ctx, seconds := r.c.t.Context(), int64(24*3600)
	token, err := r.c.Core.CoreV1().ServiceAccounts(r.pod.Namespace).CreateToken(ctx, r.pod.ServiceAccount,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"istio-ca"}, ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	if err != nil {
		r.c.t.Fatal(err)
	}
	var roots *corev1.ConfigMap
	meshtest.Eventually(r.c.t, "istiod has given the namespace its roots", func() error {
		roots, err = r.c.Core.CoreV1().ConfigMaps(r.pod.Namespace).Get(ctx, "istio-ca-root-cert", metav1.GetOptions{})
		return err
	})
	bootstrap, err := os.ReadFile(r.c.programs.EnvoyBootstrap)
	if err != nil {
		r.c.t.Fatal(err)
	}
	r.c.writeAll(r.root(), map[string][]byte{
		"var/run/secrets/tokens/istio-token":                []byte(token.Status.Token),
		"var/run/secrets/istio/root-cert.pem":               []byte(roots.Data["root-cert.pem"]),
		"etc/istio/pod/labels":                              labelText(r.pod.Labels),
		"envoy_bootstrap.json":                              bootstrap,
		"etc/istio/pod/annotations":                         nil,
		"etc/istio/proxy/.keep":                             nil,
		"var/run/secrets/workload-spiffe-uds/.keep":         nil,
		"var/run/secrets/workload-spiffe-credentials/.keep": nil,
	})
	r.c.must(r.Machine.Run(ctx, "", "chown", "-R", proxyUser, r.root()))
}

// root stands for the root of the container's files: the agent's paths are relative.
func (r *Running) root() string { return r.Dir("pod") }

// agent is the command line of Istio's agent, as the injector writes it.
func (r *Running) agent() []string {
	role := "sidecar"
	if r.pod.Gateway {
		role = "router"
	}
	proxy, err := json.Marshal(map[string]any{
		"discoveryAddress": r.c.ip + ":15012", "binaryPath": r.c.world.Binaries.Envoy, "proxyBootstrapTemplatePath": "./envoy_bootstrap.json",
		"configPath": "./etc/istio/proxy", "statusPort": 15020, "concurrency": 1, "drainDuration": "5s", "terminationDrainDuration": "2s",
	})
	if err != nil {
		r.c.t.Fatal(err)
	}
	argv := []string{"setpriv", "--reuid=" + proxyUser, "--regid=" + proxyUser, "--clear-groups", "--no-new-privs", "env", "-C", r.root(),
		"POD_NAME=" + r.pod.Name, "POD_NAMESPACE=" + r.pod.Namespace, "INSTANCE_IP=" + r.IPv4.String(), "SERVICE_ACCOUNT=" + r.pod.ServiceAccount,
		"TRUST_DOMAIN=" + r.c.trustDomain, "ISTIO_META_CLUSTER_ID=" + clusterID, "ISTIO_META_INTERCEPTION_MODE=REDIRECT",
		"ISTIO_META_DNS_CAPTURE=true", "ISTIO_META_WORKLOAD_NAME=" + filepath.Base(r.pod.Name), "ISTIOD_SAN=istiod.istio-system.svc", "PROXY_CONFIG=" + string(proxy)}
	agent, err := r.c.world.Binaries.Public(r.c.t.Context(), r.c.programs.Agent)
	if err != nil {
		r.c.t.Fatal(err)
	}
	return append(argv, agent, "proxy", role, "--domain", r.pod.Namespace+".svc.cluster.local")
}

// capture leads what the application sends and is sent through Envoy, and its questions for names to the agent.
const capture = `table ip mesh {
	chain in {
		type nat hook prerouting priority dstnat;
		tcp dport { 15020, 15021, 15090 } return
		meta l4proto tcp redirect to :15006
	}
	chain out {
		type nat hook output priority -100;
		meta skuid ` + proxyUser + ` return
		udp dport 53 redirect to :15053
		tcp dport 53 redirect to :15053
		oifname "lo" return
		ip daddr 127.0.0.0/8 return
		meta l4proto tcp redirect to :15001
	}
}
`

package stories_test

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	edgekube "github.com/isthmus-mesh/isthmus/edge/kube"
	"github.com/isthmus-mesh/isthmus/meshtest"
	"github.com/isthmus-mesh/isthmus/meshtest/kube"
)

// bridge is the stage of stories in which a cluster that runs a stock Istio is joined to a zone of machines.
type bridge struct {
	*testing.T
	mesh *meshtest.World
	dc1  *meshtest.Zone
	prod *kube.Zone

	web1     *meshtest.Machine // a caller on a machine
	web2     *kube.Pod         // a caller in the cluster
	reviews1 *meshtest.Machine
	reviews  *meshtest.Process // the application on reviews1
	edge     *meshtest.Machine // runs the cluster's edge
}

// newBridge makes web and reviews on both sides, ratings on machines, details in the cluster, and a gateway of each.
func newBridge(t *testing.T) *bridge {
	b := &bridge{T: t, mesh: meshtest.New(t)}
	b.machines()
	b.cluster()
	return b
}

const bridgeIntent = `apiVersion: isthmus.dev/v1alpha1
kind: Workspace
metadata: {name: shop}
spec: {zones: [dc1, prod-1/store]}
---
` + eastWestGateway

// machines makes the zone that has been there for years: web, reviews, ratings, and now a gateway.
func (b *bridge) machines() {
	b.dc1 = b.mesh.Zone("dc1")
	b.mesh.Isthmus("zone", "create", "prod-1", "--type=kubernetes", "--output=json") // its token is for production; see cluster
	b.mesh.Apply(bridgeIntent)
	gateway := b.mesh.Machine("bridge1")
	gateway.Gateway(b.dc1.GatewayToken("shop", "bridge"))
	b.eastWest("dc1", gateway.IPv4.String())
	b.web1, _ = b.join("web1", "web", "--reviews=http://reviews:9080")
	b.reviews1, b.reviews = b.join("reviews1", "reviews")
	b.join("ratings1", "ratings")
}

// join runs a service of the shop on a machine of its own.
func (b *bridge) join(name, service string, flags ...string) (*meshtest.Machine, *meshtest.Process) {
	m := b.mesh.Machine(name)
	app := m.Serve(service, append(flags, "--version=dc1")...)
	m.Join(b.dc1.Token("shop", service), "--port=9080=http", "--version=dc1", "--check=http://127.0.0.1:9080/health")
	return m, app
}

func (b *bridge) eastWest(zone, address string) {
	b.Helper()
	b.mesh.Kubectl("patch", "zone", zone, "--type=merge", "--patch="+fmt.Sprintf(`{"spec":{"eastWest":{"addresses":[%q]}}}`, address))
}

const storeObjects = `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {namespace: istio-system, name: default}
spec: {mtls: {mode: STRICT}}
`

// cluster makes a cluster, joins it with the rights that the edge asks for and no more, and runs pods in it.
func (b *bridge) cluster() {
	b.prod = kube.On(b.mesh, "prod")
	b.prod.InstallIstioCRDs()
	b.startEdge(2)
	b.prod.StartIstiod(kube.Istio{TrustDomain: "isthmus.local", CA: b.authority()})
	b.prod.StartKubelet()
	b.prod.Apply(storeObjects)
	b.prod.ServeGateway("eastwest", "eastwestgateway")
	b.prod.Serve("store", "reviews", "prod-1")
	b.prod.Serve("store", "details", "prod-1")
	b.prod.Serve("store", "web", "prod-1", "--reviews=http://reviews:9080")
	b.prod.WaitPod("store", "app=reviews")
	b.prod.WaitPod("store", "app=details")
	b.web2 = b.prod.WaitPod("store", "app=web")
	b.eastWest("prod-1", b.prod.WaitPod("istio-system", "istio=eastwestgateway").IPv4.String())
}

// startEdge runs the cluster's edge, on a machine of its own, and waits until so many zones have an edge.
func (b *bridge) startEdge(zones int) {
	b.Helper()
	b.edge = b.mesh.Machine("prod-edge")
	b.runEdge(b.edge, b.prod)
	b.connected(zones)
}

// connected waits until so many zones have an edge.
func (b *bridge) connected(zones int) {
	b.Helper()
	meshtest.Eventually(b, "the cluster's edge is connected", func() error {
		out, err := b.mesh.TryIsthmus("zone", "list")
		if err == nil && strings.Count(out, "yes") < zones {
			err = fmt.Errorf("%s", out)
		}
		return err
	})
}

// runEdge joins a cluster as prod-1.
func (b *bridge) runEdge(m *meshtest.Machine, cluster *kube.Zone, flags ...string) *meshtest.Process {
	b.Helper()
	var token struct{ Token string }
	if err := json.Unmarshal([]byte(b.mesh.Isthmus("token", "create", "--role=edge", "--zone=prod-1", "--output=json")), &token); err != nil {
		b.Fatal(err)
	}
	account := cluster.ReceiptsAccount()
	rules := slices.Concat(edgekube.Rules(), edgekube.ReceiptsRules(path.Base(account)), edgekube.LeaseRules())
	kubeconfig := cluster.KubeconfigFor("isthmus-system", "isthmus-edge", rules)
	return m.Start("edge", func() []string {
		return append([]string{b.mesh.Binaries.Isthmus, "edge", "--join=" + token.Token, "--kubeconfig=" + kubeconfig, "--data=" + m.Dir("edge"), "--name=" + m.Name,
			"--receipts-account=" + account, "--status-listen=127.0.0.1:15014"}, flags...)
	})
}

// authority is that of the zone, as the operator gives it to istiod.
func (b *bridge) authority() *kube.CA {
	b.Helper()
	out, err := b.edge.Run(b.Context(), "", b.mesh.Binaries.Isthmus, "edge", "cacerts", "--data="+b.edge.Dir("edge"))
	var secret corev1.Secret
	if err == nil {
		err = yaml.UnmarshalStrict([]byte(out), &secret)
	}
	if err != nil {
		b.Fatal(err)
	}
	return &kube.CA{Certificate: secret.Data["ca-cert.pem"], Key: secret.Data["ca-key.pem"], Chain: secret.Data["cert-chain.pem"], Root: secret.Data["root-cert.pem"]}
}

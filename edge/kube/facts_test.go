package kube_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/edge/kube"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
	. "github.com/isthmus-mesh/isthmus/meshtest"
	cluster "github.com/isthmus-mesh/isthmus/meshtest/kube"
)

const factsYAML = `
{apiVersion: v1, kind: Pod, metadata: {namespace: facts-istio, name: istiod-0, labels: {app: istiod, istio.io/rev: blue}}, spec: {containers: [
  {name: discovery, image: "registry.example.com:5000/istio/pilot:1.31.0-distroless@sha256:0000000000000000000000000000000000000000000000000000000000000000"}]}}
---
{apiVersion: v1, kind: Pod, metadata: {namespace: facts-istio, name: istiod-1, labels: {app: istiod, istio.io/rev: green, app.kubernetes.io/version: 1.31.1}}, spec: {containers: [
  {name: discovery, image: mirror/pilot}]}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: facts, name: empty}, spec: {selector: {app: none}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: facts, name: gateway}, spec: {selector: {istio: ingressgateway}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: facts, name: elsewhere}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: facts-istio, name: unclaimed}, spec: {selector: {app: none}, ports: [{port: 80}]}}
`

// What a cluster shows is told whole, by an edge with no more rights than it needs.
func testFacts(t *testing.T, c *cluster.Cluster) {
	namespaced(c, "facts")
	namespaced(c, "facts-istio")
	mesh, other := newRoot(t), newRoot(t)
	publishRoot(c, mesh)
	c.Apply(factsYAML)
	t.Cleanup(func() { // others' zones look at all istiods of the cluster
		check(t, c.Core.CoreV1().Pods("facts-istio").DeleteCollection(context.Background(), metav1.DeleteOptions{GracePeriodSeconds: new(int64)}, metav1.ListOptions{}))
	})
	z := factsZone(t, c, "facts", mesh)
	want := &feedpb.Cluster{
		IstioVersions: []string{"1.31.0", "1.31.1"}, IstioRevisions: []string{"blue", "green"}, IstioNamespaces: []string{"facts-istio"},
		Trust: string(v1alpha1.TrustMesh), Services: 3, ServicesWithoutPods: 2, WithoutPods: []string{"facts/empty", "facts/gateway"},
		Idle: []*feedpb.IdleService{{Workspace: "shop", Service: "empty", Ports: []*feedpb.Port{{Port: 80}}, Selector: map[string]string{"app": "none"}}},
	}
	z.waitFacts("all of it", func(f *feedpb.Cluster) bool {
		f.MeshIds, f.TrustDomains, f.Unmanaged, f.Gateways = nil, nil, nil, nil // those of the cluster's other namespaces
		return proto.Equal(f, want)
	})
	if got := z.Cluster.Facts(); got.GetTrust() != string(v1alpha1.TrustMesh) {
		t.Errorf("a hub that comes later is told %v", got)
	}
	c.Apply(`{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {namespace: facts, name: theirs}, spec: {egress: [{hosts: ["./*"]}]}}`)
	z.waitFacts("one of the team's own", func(f *feedpb.Cluster) bool { return f.Unmanaged["Sidecar"] == 1 })
	own := factsZone(t, c, "facts-own", other)
	own.waitFacts("another root", func(f *feedpb.Cluster) bool {
		return f.Trust == string(v1alpha1.TrustOwn) && len(f.Roots) == 1 && bytes.Equal(f.Roots[0], mesh.Raw)
	})
	own.SetTrust(&identity.TrustDomain{Name: "prod-1.example", Roots: []*x509.Certificate{mesh}})
	own.waitFacts("a root that is accepted", func(f *feedpb.Cluster) bool { return f.Trust == string(v1alpha1.TrustFederated) })
	own.SetTrust(&identity.TrustDomain{Name: "prod-1.example", Roots: []*x509.Certificate{newRoot(t)}})
	own.waitFacts("a root that changed", func(f *feedpb.Cluster) bool { return f.Trust == string(v1alpha1.TrustOwn) })
	if told := own.told(); !strings.Contains(fmt.Sprint(told), problem.TrustChanged.Code) {
		t.Errorf("a root that changed: conditions %v", told)
	}
	both := factsZone(t, c, "facts-both", other, mesh)
	both.waitFacts("one of two roots", func(f *feedpb.Cluster) bool { return f.Trust == string(v1alpha1.TrustMesh) })
	if told := z.told(); len(told) > 0 {
		t.Errorf("conditions %v", told)
	}
}

// factsZone is a zone of the namespace facts, whose edge trusts roots.
func factsZone(t *testing.T, c *cluster.Cluster, name string, roots ...*x509.Certificate) *zone {
	z := newZone(t, c, name, restricted(t, c), func(config *kube.Config) {
		config.Roots, config.Identity = func() []*x509.Certificate { return roots }, name
	})
	z.SetClaims(map[string]string{"facts": "shop"})
	return z
}

func newRoot(t *testing.T) *x509.Certificate {
	key, err := identity.NewKey()
	check(t, err)
	root, err := identity.NewRoot("td", key, time.Now)
	check(t, err)
	return root.Certificate()
}

// publishRoot does what istiod does.
func publishRoot(c *cluster.Cluster, root *x509.Certificate) {
	text := string(identity.EncodeCertificates([]*x509.Certificate{root}))
	c.Apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: facts-istio, name: istio-ca-root-cert}\ndata:\n  root-cert.pem: |\n    " +
		strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    "))
}

// waitFacts waits until what is told of the cluster is as wanted.
func (z *zone) waitFacts(what string, as func(*feedpb.Cluster) bool) {
	z.t.Helper()
	Eventually(z.t, what, func() error {
		z.mu.Lock()
		defer z.mu.Unlock()
		if z.facts == nil || !as(proto.CloneOf(z.facts)) {
			return fmt.Errorf("told is %v", z.facts)
		}
		return nil
	})
}

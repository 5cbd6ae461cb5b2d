package kube

import (
	"crypto/x509"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
)

func TestTagOfImage(t *testing.T) {
	for image, want := range map[string]string{
		"istio/pilot": "", "istio/pilot:1.31.0": "1.31.0", "localhost:5000/istio/pilot": "", "localhost:5000/istio/pilot:1.31.0-distroless": "1.31.0",
		"istio/pilot@sha256:00": "", "istio/pilot:1.31.0@sha256:00": "1.31.0",
	} {
		if got := tag(image); got != want {
			t.Errorf("%s: got %q, want %q", image, got, want)
		}
	}
}

func TestTrustIsThatOfAllRoots(t *testing.T) {
	mesh, own := root(t), root(t)
	accepted := &identity.TrustDomain{Name: "td", Roots: []*x509.Certificate{own}}
	for name, c := range map[string]struct {
		roots    []*x509.Certificate
		accepted *identity.TrustDomain
		want     v1alpha1.ClusterTrust
	}{
		"None": {nil, nil, ""}, "Mesh": {[]*x509.Certificate{mesh}, nil, v1alpha1.TrustMesh}, "Own": {[]*x509.Certificate{own}, nil, v1alpha1.TrustOwn},
		"Both": {[]*x509.Certificate{mesh, own}, nil, v1alpha1.TrustOwn}, "Federated": {[]*x509.Certificate{own}, accepted, v1alpha1.TrustFederated},
		"OneMore": {[]*x509.Certificate{own, root(t)}, accepted, v1alpha1.TrustOwn}, "Another": {[]*x509.Certificate{root(t)}, accepted, v1alpha1.TrustOwn},
		"Mended": {[]*x509.Certificate{mesh}, accepted, v1alpha1.TrustMesh},
	} {
		if got := judge(c.roots, []*x509.Certificate{mesh}, c.accepted); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func root(t *testing.T) *x509.Certificate {
	key, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	authority, err := identity.NewRoot("td", key, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return authority.Certificate()
}

func TestIstioIsFoundByItsPods(t *testing.T) {
	pods := map[string]*pod{
		"i/a": {namespace: "i", istiod: "1.31.0", labels: map[string]string{"app": istiodLabel, revisionLabel: "blue"}},
		"i/b": {namespace: "i", labels: map[string]string{"app": istiodLabel}},
		"s/c": {namespace: "s", meshID: "m1", trustDomain: "prod-1.example", labels: map[string]string{"app": "web", revisionLabel: "green"}},
	}
	var got feedpb.Cluster
	findIstio(&got, pods)
	want := &feedpb.Cluster{IstioVersions: []string{"1.31.0"}, IstioRevisions: []string{"blue"}, IstioNamespaces: []string{"i"}, MeshIds: []string{"m1"}, TrustDomains: []string{"prod-1.example"}}
	if !proto.Equal(&got, want) {
		t.Errorf("got %v, want %v", &got, want)
	}
}

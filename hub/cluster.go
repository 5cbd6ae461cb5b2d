package hub

import (
	"crypto/x509"
	"encoding/json"
	"maps"
	"slices"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
)

// sayCluster adds what is known of the cluster that a zone is. While nothing is known, what is stored stands.
func (l *ledger) sayCluster(zone string, stored document, d *document) {
	switch said, known := l.inventory.Cluster(zone); {
	case said != nil:
		d.Cluster = marshalled(clusterStatus(said))
	case known && has(stored.Cluster):
		d.Cluster = json.RawMessage("null")
	}
}

// has is whether there is a value, and not null.
func has(value json.RawMessage) bool { return len(value) > 0 && string(value) != "null" }

// clusterStatus is what an edge says, in the words of the API. Statuses are merged: nothing is left out of it,
// or what stood there before would stay.
func clusterStatus(said *feedpb.Cluster) v1alpha1.ClusterStatus {
	status := v1alpha1.ClusterStatus{
		Istio: v1alpha1.IstioStatus{
			Versions: words(said.IstioVersions), Revisions: words(said.IstioRevisions), Namespaces: words(said.IstioNamespaces),
			MeshIDs: words(said.MeshIds), TrustDomains: words(said.TrustDomains), Trust: v1alpha1.ClusterTrust(said.Trust), Receipts: said.Receipts, Roots: certificates(said.Roots),
		},
		Services: int32(said.Services), Pods: int32(said.Pods),
		ServicesWithoutPods: int32(said.ServicesWithoutPods), WithoutPods: words(said.WithoutPods),
		Gateways: []v1alpha1.ClusterGateway{}, Unmanaged: []v1alpha1.UnmanagedKind{},
	}
	for _, g := range said.Gateways {
		status.Gateways = append(status.Gateways, v1alpha1.ClusterGateway{Namespace: g.Namespace, Name: g.Name, Addresses: words(g.Addresses)})
	}
	for _, kind := range slices.Sorted(maps.Keys(said.Unmanaged)) {
		status.Unmanaged = append(status.Unmanaged, v1alpha1.UnmanagedKind{Kind: kind, Count: int32(said.Unmanaged[kind])})
	}
	return status
}

// rootsShown is how many roots of a cluster are shown; none has so many.
const rootsShown = 16

// certificates are PEM; what is none is left out.
func certificates(ders [][]byte) string {
	var text []byte
	for _, der := range ders[:min(len(ders), rootsShown)] {
		if c, err := x509.ParseCertificate(der); err == nil {
			text = append(text, identity.EncodeCertificates([]*x509.Certificate{c})...)
		}
	}
	return string(text)
}

// words are a list that is empty rather than null as JSON.
func words(list []string) []string { return append([]string{}, list...) }

// marshalled is a value as JSON.
func marshalled(value any) json.RawMessage {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return text
}

package kube

import (
	"context"
	"crypto/x509"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
)

// istiod publishes the root of its authority in every namespace, also in its own.
const (
	rootConfigMap = "istio-ca-root-cert"
	rootField     = "root-cert.pem"
)

// trustPlace is where it is told that the cluster is not what it is trusted for.
const trustPlace = "Trust"

// trustEvery is how often the root is looked at. It is not watched: for that one has to be allowed to list.
const trustEvery = 30 * time.Second

// trust is what was found when it was looked at last.
type trust struct {
	looked     bool
	namespaces []string // of istiod
	roots      []*x509.Certificate
}

// SetTrust says what the cluster is trusted for: its own trust domain, vouched for by its own roots. Nil means the
// mesh's.
func (c *Cluster) SetTrust(own *identity.TrustDomain) {
	if old := c.own.Swap(own); old == nil && own == nil || old != nil && own != nil && old.Equal(*own) {
		return
	}
	name := c.config.TrustDomain
	if own != nil {
		name = own.Name
	}
	c.inventory.setTrustDomain(name)
	c.facts.stale.Store(true)
}

// findTrust adds under which root the cluster issues certificates, and tells when the cluster is trusted for another.
func (c *Cluster) findTrust(ctx context.Context, t *trust, f *feedpb.Cluster) {
	if c.config.Roots == nil {
		return
	}
	c.readRoots(ctx, t, f.IstioNamespaces)
	own := c.own.Load()
	found := judge(t.roots, c.config.Roots(), own)
	if f.Trust = string(found); found != v1alpha1.TrustMesh {
		for _, root := range t.roots {
			f.Roots = append(f.Roots, root.Raw)
		}
	}
	c.config.Events.Condition(trustPlace, changed(found, f.TrustDomains, own))
}

// changed is what a cluster shows that is not what it is trusted for.
func changed(found v1alpha1.ClusterTrust, domains []string, own *identity.TrustDomain) *problem.Error {
	switch {
	case own == nil:
		return nil
	case found == v1alpha1.TrustOwn:
		return problem.TrustChanged.Because("istiod publishes a root that spec.trust.roots does not have")
	case len(domains) > 0 && !slices.Contains(domains, own.Name):
		return problem.TrustChanged.Because("proxies are of trust domain %s, and spec.trust.domain is %s", strings.Join(domains, ", "), own.Name)
	}
	return nil
}

// readRoots reads the roots of the istiods, if it has not or if they are elsewhere now.
func (c *Cluster) readRoots(ctx context.Context, t *trust, namespaces []string) {
	if t.looked && slices.Equal(t.namespaces, namespaces) {
		return
	}
	t.looked, t.namespaces = true, namespaces
	var roots []*x509.Certificate
	for _, namespace := range namespaces {
		some, err := c.istioRoots(ctx, namespace)
		if err != nil {
			return // as it was, until it is looked at again
		}
		roots = append(roots, some...)
	}
	t.roots = roots
}

// istioRoots are what the istiod of a namespace publishes; none if it publishes nothing that can be read.
func (c *Cluster) istioRoots(ctx context.Context, namespace string) ([]*x509.Certificate, error) {
	found, err := c.core.CoreV1().ConfigMaps(namespace).Get(ctx, rootConfigMap, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err == nil || isAccess(err) { // that the cluster is away, the watches tell
		c.faults.note(configMapKind, "get of "+rootConfigMap, err, true)
	}
	if err != nil {
		return nil, err
	}
	roots, err := identity.DecodeCertificates([]byte(found.Data[rootField]))
	if err != nil {
		c.config.Log.Warn("istiod publishes roots that cannot be read", "namespace", namespace, "configmap", rootConfigMap, "err", err)
	}
	return roots, nil
}

// judge says what roots make of trust: one that is not the mesh's makes it the cluster's own, and one that is not
// accepted either makes that nobody's.
func judge(roots, mesh []*x509.Certificate, own *identity.TrustDomain) v1alpha1.ClusterTrust {
	if len(roots) == 0 {
		return ""
	}
	found := v1alpha1.TrustMesh
	for _, root := range roots {
		switch {
		case chains(root, mesh):
		case own != nil && slices.ContainsFunc(own.Roots, root.Equal):
			found = v1alpha1.TrustFederated
		default:
			return v1alpha1.TrustOwn
		}
	}
	return found
}

// chains is whether a certificate is one of the roots or issued by one. Whether its time is over is another question.
func chains(c *x509.Certificate, roots []*x509.Certificate) bool {
	return slices.ContainsFunc(roots, func(root *x509.Certificate) bool {
		return c.Equal(root) || c.CheckSignatureFrom(root) == nil
	})
}

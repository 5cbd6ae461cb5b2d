package kube

import (
	"context"
	"crypto/x509"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/identity"
)

// istiod publishes the root of its authority in every namespace, also in its own.
const (
	rootConfigMap = "istio-ca-root-cert"
	rootField     = "root-cert.pem"
)

// trustEvery is how often the root is looked at. It is not watched: for that one has to be allowed to list.
const trustEvery = 30 * time.Second

// trust is what was found when it was looked at last.
type trust struct {
	looked     bool
	namespaces []string // of istiod
	found      v1alpha1.ClusterTrust
}

// trust looks at the roots of the istiods, if it has not or if they are elsewhere now.
func (c *Cluster) trust(ctx context.Context, t *trust, namespaces []string) v1alpha1.ClusterTrust {
	if c.config.Roots == nil || t.looked && slices.Equal(t.namespaces, namespaces) {
		return t.found
	}
	t.looked, t.namespaces = true, namespaces
	var roots []*x509.Certificate
	for _, namespace := range namespaces {
		some, err := c.istioRoots(ctx, namespace)
		if err != nil {
			return t.found // as it was, until it is looked at again
		}
		roots = append(roots, some...)
	}
	t.found = judge(roots, c.config.Roots())
	return t.found
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

// judge says what roots make of trust: one that is not the mesh's makes it the cluster's own.
func judge(roots, mesh []*x509.Certificate) v1alpha1.ClusterTrust {
	if len(roots) == 0 {
		return ""
	}
	for _, root := range roots {
		if !chains(root, mesh) {
			return v1alpha1.TrustOwn
		}
	}
	return v1alpha1.TrustMesh
}

// chains is whether a certificate is one of the roots or issued by one. Whether its time is over is another question.
func chains(c *x509.Certificate, roots []*x509.Certificate) bool {
	return slices.ContainsFunc(roots, func(root *x509.Certificate) bool {
		return c.Equal(root) || c.CheckSignatureFrom(root) == nil
	})
}

package hub

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/dynamic"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
)

var (
	tokenResource = v1alpha1.GroupVersion.WithResource("jointokens")
	zoneResource  = v1alpha1.GroupVersion.WithResource("zones")
)

// tokens reads and writes join tokens and whose they are in storage, never in a cache: a token is used once.
type tokens struct {
	client dynamic.Interface
	now    func() time.Time
}

// use marks a token as used by a key, if check agrees, whose task it is to ask whether the token is usable. The write is
// conditional on the token being the one that was checked: of two keys at the same instant one wins, and the other is
// checked again.
func (s tokens) use(ctx context.Context, name, key string, check func(*v1alpha1.JoinToken) error) (*v1alpha1.JoinToken, error) {
	for {
		t, err := s.get(ctx, name)
		if err != nil {
			return nil, err
		}
		if err := check(t); err != nil {
			return nil, err
		}
		used, write := spent(t, key, s.now())
		if !write {
			return t, nil
		}
		if err = s.put(ctx, used); !apierrors.IsConflict(err) {
			return used, err
		}
	}
}

func (s tokens) get(ctx context.Context, name string) (*v1alpha1.JoinToken, error) {
	if len(validation.IsDNS1123Subdomain(name)) > 0 {
		return nil, problem.TokenUnknown.Because("%q is no name of a token", name)
	}
	u, err := s.client.Resource(tokenResource).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, problem.TokenUnknown.Because("there is no token %q", name)
	}
	if err != nil {
		return nil, err
	}
	t := &v1alpha1.JoinToken{}
	return t, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, t)
}

func (s tokens) put(ctx context.Context, t *v1alpha1.JoinToken) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(t)
	if err != nil {
		return err
	}
	_, err = s.client.Resource(tokenResource).UpdateStatus(ctx, &unstructured.Unstructured{Object: content}, metav1.UpdateOptions{})
	return err
}

func (s tokens) zone(ctx context.Context, name string) (*unstructured.Unstructured, error) {
	zone, err := s.client.Resource(zoneResource).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, problem.IdentityRefused.Because("zone %s does not exist (any more)", name)
	}
	return zone, err
}

// clusterLength bounds what an edge says of its cluster; it is a UUID.
const clusterLength = 64

// claim notes on a zone which cluster it is, or refuses if it is another one. An edge of machines is of none. Of two
// clusters at the same instant one wins, as in use.
func (s tokens) claim(ctx context.Context, name, cluster string) error {
	for {
		zone, err := s.zone(ctx, name)
		if err != nil {
			return err
		}
		annotations := zone.GetAnnotations()
		switch known := annotations[v1alpha1.ClusterAnnotation]; {
		case cluster == "" || known == cluster:
			return nil
		case len(cluster) > clusterLength:
			return problem.RequestInvalid.Because("a cluster's UID of %d characters", len(cluster))
		case known != "":
			return problem.ZoneTaken.Because("zone %s is the cluster %s, and the edge is in the cluster %s", name, known, cluster)
		}
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[v1alpha1.ClusterAnnotation] = cluster
		zone.SetAnnotations(annotations)
		if _, err = s.client.Resource(zoneResource).Update(ctx, zone, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
			return err
		}
	}
}

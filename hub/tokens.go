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

// tokens reads and writes join tokens in storage, never in a cache: a token is used once.
type tokens struct {
	client dynamic.Interface
	now    func() time.Time
}

// use marks a token as used by a key, if check and the token agree. The write is conditional on the token
// being the one that was checked: of two keys at the same instant one wins, and the other is checked again.
func (s tokens) use(ctx context.Context, name, key string, check func(*v1alpha1.JoinToken) error) (*v1alpha1.JoinToken, error) {
	for {
		t, err := s.get(ctx, name)
		if err != nil {
			return nil, err
		}
		if err := check(t); err != nil {
			return nil, err
		}
		if err := usable(t, key, s.now()); err != nil {
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

func (s tokens) zoneExists(ctx context.Context, name string) (bool, error) {
	_, err := s.client.Resource(zoneResource).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

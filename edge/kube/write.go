package kube

import (
	"context"
	"encoding/json"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// writeTimeout is how long a write waits for its answer, far more than a slow API server takes. One without etcd says
// no only after half a minute, which is as long as nobody would be told.
const writeTimeout = 10 * time.Second

// rawClient sends JSON to any path and reads errors.
func rawClient(config *rest.Config) (*rest.RESTClient, error) {
	config = rest.CopyConfig(config)
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	config.GroupVersion, config.Timeout = &schema.GroupVersion{}, writeTimeout
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	return rest.UnversionedRESTClientFor(config)
}

// at is a request for an object.
func (i id) at(r *rest.Request) *rest.Request {
	root := []string{"apis", i.kind.Group, i.kind.Version}
	if i.kind.Group == "" {
		root = []string{"api", i.kind.Version}
	}
	return r.AbsPath(append(root, "namespaces", i.namespace, i.kind.Resource, i.name)...).MaxRetries(0)
}

func answer(ctx context.Context, r *rest.Request) (*unstructured.Unstructured, error) {
	result := r.Do(ctx)
	if err := result.Error(); err != nil { // Raw's error has not the API server's words
		return nil, err
	}
	text, err := result.Raw()
	if err != nil {
		return nil, err
	}
	u := &unstructured.Unstructured{}
	return u, u.UnmarshalJSON(text)
}

// look asks the API server itself.
func (c *Cluster) look(ctx context.Context, i id) (*unstructured.Unstructured, error) {
	return answer(ctx, i.at(c.raw.Get()))
}

// apply writes an object. With a uid it must be that object, and fields of others become ours; without,
// there should be none: then a field of others is a conflict.
func (c *Cluster) apply(ctx context.Context, w *wanted, uid string) (*unstructured.Unstructured, error) {
	body, force := w.body, "false"
	if uid != "" {
		var err error
		if body, err = withUID(body, uid); err != nil {
			return nil, err
		}
		force = "true"
	}
	request := w.at(c.raw.Patch(types.ApplyPatchType)).Param("fieldManager", Owner).Param("force", force).Param("fieldValidation", "Strict")
	found, err := answer(ctx, request.Body(body))
	return found, asConflict(w.id, err)
}

// asConflict calls it a conflict that an object is another one of its name, which the API server takes for an
// attempt to change its uid.
func asConflict(i id, err error) error {
	if cause, ok := apierrors.StatusCause(err, metav1.CauseTypeFieldValueInvalid); ok && cause.Field == "metadata.uid" {
		return apierrors.NewConflict(i.kind.GroupResource(), i.name, err)
	}
	return err
}

func withUID(body []byte, uid string) ([]byte, error) {
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(body); err != nil {
		return nil, err
	}
	u.SetUID(types.UID(uid))
	return u.MarshalJSON()
}

// prune takes away what others added; server-side apply leaves that alone.
func (c *Cluster) prune(ctx context.Context, w *wanted, found *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	want := &unstructured.Unstructured{}
	if err := want.UnmarshalJSON(w.body); err != nil {
		return nil, err
	}
	extra := surplus(content(found.Object), content(want.Object))
	if len(extra) == 0 {
		return found, nil
	}
	extra["metadata"] = map[string]any{"uid": found.GetUID(), "resourceVersion": found.GetResourceVersion()}
	body, err := json.Marshal(extra)
	if err != nil {
		return nil, err
	}
	pruned, err := answer(ctx, w.at(c.raw.Patch(types.MergePatchType)).Param("fieldManager", Owner).Body(body))
	return pruned, asConflict(w.id, err)
}

// surplus is the merge patch that takes away what is in found and not in want. Lists are whole
// values: apply has replaced them.
func surplus(found, want map[string]any) map[string]any {
	patch := map[string]any{}
	for key, value := range found {
		wish, ok := want[key]
		if !ok {
			patch[key] = nil
			continue
		}
		a, isMap := value.(map[string]any)
		b, isMapToo := wish.(map[string]any)
		if !isMap || !isMapToo {
			continue
		}
		if below := surplus(a, b); len(below) > 0 {
			patch[key] = below
		}
	}
	return patch
}

// remove deletes exactly the object that was seen.
func (c *Cluster) remove(ctx context.Context, i id, l *live) error {
	uid := types.UID(l.uid)
	body, err := json.Marshal(metav1.DeleteOptions{
		TypeMeta:      metav1.TypeMeta{Kind: "DeleteOptions", APIVersion: "v1"},
		Preconditions: &metav1.Preconditions{UID: &uid},
	})
	if err != nil {
		return err
	}
	return i.at(c.raw.Delete()).SetHeader("Content-Type", "application/json").Body(body).Do(ctx).Error()
}

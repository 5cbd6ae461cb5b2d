package apiserver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apiserver/pkg/storage/value"
)

// PatchStatus merges status, anything that marshals to JSON, into the status of an object of the
// stream; lists are replaced as a whole, and what the status says already is not written. It fails with a
// conflict if the object of that name is not the one with uid any more (an empty uid means any), with NotFound
// if there is none, and as invalid if the kind's schema does not allow the status.
//
// It writes to etcd what the API server would write, without asking it (docs/adr/0013-statuses-to-storage.md):
// whoever watches sees no difference, and of two writes at a time none is lost.
func (s *Server) PatchStatus(ctx context.Context, kind, namespace, name string, uid types.UID, status any) error {
	k, err := kindNamed(kind)
	if err != nil {
		return err
	}
	text, err := json.Marshal(status)
	if err != nil {
		return err
	}
	patch := map[string]any{}
	if err := utiljson.Unmarshal(text, &patch); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return s.statuses.patch(ctx, place{k, namespace, name}, uid, patch)
}

// statuses writes the statuses of custom resources.
type statuses struct {
	client  *clientv3.Client
	decoder decoder
	schemas map[schema.GroupVersionResource]*statusSchema
	now     func() time.Time
}

func (s *Server) newStatuses(definitions []*apiextensionsv1.CustomResourceDefinition) (*statuses, error) {
	schemas, err := statusSchemas(definitions)
	return &statuses{client: s.etcd.client, decoder: decoder{s.transformers}, schemas: schemas, now: s.config.Now}, err
}

// stored is an object as it lies in etcd.
type stored struct {
	place
	object   map[string]any
	revision int64
}

// patch repeats until no other write comes between its reading and its writing.
func (w *statuses) patch(ctx context.Context, p place, uid types.UID, patch map[string]any) error {
	for {
		o, err := w.read(ctx, p)
		if err != nil {
			return err
		}
		if changed, err := w.change(o, uid, patch); err != nil || !changed {
			return err
		}
		if written, err := w.write(ctx, o); err != nil || written {
			return err
		}
	}
}

func (w *statuses) read(ctx context.Context, p place) (*stored, error) {
	key := p.key()
	found, err := w.client.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	if len(found.Kvs) == 0 {
		return nil, apierrors.NewNotFound(p.kind.resource.GroupResource(), p.name)
	}
	plain, err := w.decoder.plain(ctx, p.kind, key, found.Kvs[0].Value)
	if err != nil {
		return nil, err
	}
	o := &stored{place: p, revision: found.Kvs[0].ModRevision}
	return o, utiljson.Unmarshal(plain, &o.object)
}

// change merges the patch into the object's status, as its schema allows, and tells whether it says anything new.
func (w *statuses) change(o *stored, uid types.UID, patch map[string]any) (changed bool, err error) {
	resource := o.kind.resource
	if is := (&unstructured.Unstructured{Object: o.object}).GetUID(); uid != "" && is != uid {
		return false, anotherObject(resource.GroupResource(), o.name, is, uid)
	}
	s := w.schemas[resource]
	if s == nil {
		return false, fmt.Errorf("%s has no status", o.kind.name)
	}
	before, _ := o.object["status"].(map[string]any)
	after := mergePatch(before, patch)
	if err := s.check(o.kind, o.name, after); err != nil {
		return false, err
	}
	if reflect.DeepEqual(before, after) {
		return false, nil
	}
	o.object["status"] = after
	own(o.object, s, patch, resource.GroupVersion().String(), w.now())
	return true, nil
}

// write writes the object unless another write came first.
func (w *statuses) write(ctx context.Context, o *stored) (written bool, err error) {
	var text bytes.Buffer
	if err := unstructured.UnstructuredJSONScheme.Encode(&unstructured.Unstructured{Object: o.object}, &text); err != nil {
		return false, err
	}
	key := o.key()
	sealed, err := w.decoder.transformers.TransformerForResource(o.kind.resource.GroupResource()).TransformToStorage(ctx, text.Bytes(), value.DefaultContext(key))
	if err != nil {
		return false, err
	}
	answer, err := w.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(key), "=", o.revision)).
		Then(clientv3.OpPut(key, string(sealed))).
		Commit()
	return err == nil && answer.Succeeded, err
}

// mergePatch is a JSON merge patch (RFC 7396): null deletes, objects are merged, all else replaces.
func mergePatch(before, patch map[string]any) map[string]any {
	after := make(map[string]any, len(before)+len(patch))
	maps.Copy(after, before)
	for key, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(after, key)
		case map[string]any:
			inner, _ := after[key].(map[string]any)
			after[key] = mergePatch(inner, v)
		default:
			after[key] = v
		}
	}
	return after
}

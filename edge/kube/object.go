package kube

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	_ "istio.io/api/networking/v1alpha3" // the bodies of resources
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// FieldManager is who writes, as Kubernetes' managed fields tell.
const FieldManager = "isthmus"

// What objects of ours carry.
const (
	labelManager      = "app.kubernetes.io/managed-by"
	labelZone         = "isthmus.dev/zone"
	annotationVersion = "isthmus.dev/version"
	annotationOrigins = "isthmus.dev/origins"
)

// object is a resource as the cluster shall have it.
type object struct{ *unstructured.Unstructured }

func (c *Cluster) objectOf(r *feedpb.Resource) (object, error) {
	name, namespace, own := split(r.Name)
	kind, known := kindOf(name)
	if !known {
		return object{}, fmt.Errorf("%s: a cluster takes no %s", r.Name, name)
	}
	spec, err := specOf(r)
	if err != nil {
		return object{}, fmt.Errorf("%s: %w", r.Name, err)
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	u.SetAPIVersion(kind.resource.GroupVersion().String())
	u.SetKind(kind.name)
	u.SetNamespace(namespace)
	u.SetName(own)
	u.SetLabels(c.labels())
	u.SetAnnotations(map[string]string{annotationVersion: r.Version, annotationOrigins: origins(r)})
	return object{u}, nil
}

func (c *Cluster) labels() map[string]string {
	return map[string]string{labelManager: FieldManager, labelZone: c.config.Zone}
}

// specOf is the body as Kubernetes reads it.
func specOf(r *feedpb.Resource) (map[string]any, error) {
	if r.Body == nil {
		return nil, errors.New("empty")
	}
	message, err := r.Body.UnmarshalNew()
	if err != nil {
		return nil, err
	}
	text, err := protojson.Marshal(message)
	if err != nil {
		return nil, err
	}
	spec := map[string]any{}
	return spec, json.Unmarshal(text, &spec)
}

// origins name the intent, for whoever finds the object in the cluster.
func origins(r *feedpb.Resource) string {
	var all []string
	for _, o := range r.Origins {
		all = append(all, strings.TrimSuffix(o.Kind+"/"+o.Namespace+"/"+o.Name+" "+o.Field, " "))
	}
	return strings.Join(all, ", ")
}

// ours says whether an object of the cluster is one of ours.
func (c *Cluster) ours(live *unstructured.Unstructured) bool {
	labels := live.GetLabels()
	return labels[labelManager] == FieldManager && labels[labelZone] == c.config.Zone
}

// same says whether the cluster has the object as it shall be.
func (o object) same(live *unstructured.Unstructured) bool {
	annotations := live.GetAnnotations()
	for name, value := range o.GetAnnotations() {
		if annotations[name] != value {
			return false
		}
	}
	return reflect.DeepEqual(o.Object["spec"], live.Object["spec"])
}

// over is the object to replace a live one with: what others put beside the spec stays.
func (o object) over(live *unstructured.Unstructured) *unstructured.Unstructured {
	next := live.DeepCopy()
	next.Object["spec"] = o.DeepCopy().Object["spec"]
	labels, annotations := map[string]string{}, map[string]string{}
	maps.Copy(labels, live.GetLabels())
	maps.Copy(labels, o.GetLabels())
	maps.Copy(annotations, live.GetAnnotations())
	maps.Copy(annotations, o.GetAnnotations())
	next.SetLabels(labels)
	next.SetAnnotations(annotations)
	next.SetManagedFields(nil)
	return next
}

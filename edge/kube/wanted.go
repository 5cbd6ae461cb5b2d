package kube

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	_ "istio.io/api/networking/v1alpha3" // registers the types that bodies have
	_ "istio.io/api/security/v1beta1"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// wanted is an object as it should be in the cluster.
type wanted struct {
	*feedpb.Resource
	id
	// body is the object, JSON, as it is applied; hash that of its content.
	body    []byte
	hash    string
	origins string
	// err is why it cannot be read; then there is no body.
	err error

	// placed is whether it was in the cluster like this: from then on every difference is drift.
	placed bool
	// accepted is the hash of what the API server made of it, defaults included.
	accepted string
	mended   time.Time // when it was last put back
	// notBefore is when the API server wants to be asked again.
	notBefore time.Time
}

// id is a name of the feed, split.
type id struct {
	kind            *kind
	namespace, name string
}

// key in the kind's table.
func (i id) key() string { return i.namespace + "/" + i.name }

func (i id) String() string { return i.kind.name + "/" + i.key() }

// parse splits the name of a resource, "kind/namespace/name".
func parse(name string) (id, error) {
	parts := strings.Split(name, "/")
	if len(parts) != 3 || parts[1] == "" || parts[2] == "" {
		return id{}, fmt.Errorf("resource name %q: want KIND/NAMESPACE/NAME", name)
	}
	k := kinds[parts[0]]
	if k == nil || k.counted {
		return id{}, fmt.Errorf("%s: a zone in Kubernetes has no such kind", parts[0])
	}
	return id{k, parts[1], parts[2]}, nil
}

// newWanted opens an envelope.
func newWanted(r *feedpb.Resource, zone string) *wanted {
	w := &wanted{Resource: r}
	if w.id, w.err = parse(r.Name); w.err != nil {
		return w
	}
	object, err := w.object()
	if err != nil {
		w.err = fmt.Errorf("unreadable: %s: %w", r.Body.GetTypeUrl(), err)
		return w
	}
	w.hash, w.origins = hash(content(object)), originsText(r.Origins)
	object["apiVersion"], object["kind"] = w.kind.apiVersion(), w.kind.name
	labels := map[string]string{}
	for key, value := range r.Labels {
		labels[key] = value
	}
	labels[ManagedBy], labels[ZoneLabel] = Owner, zone
	object["metadata"] = map[string]any{
		"name": w.name, "namespace": w.namespace, "labels": labels,
		"annotations": map[string]string{VersionAnnotation: r.Version, OriginsAnnotation: w.origins},
	}
	w.body, w.err = json.Marshal(object)
	return w
}

// object is the resource's content as the API has it.
func (w *wanted) object() (map[string]any, error) {
	message, err := w.Body.UnmarshalNew()
	if err != nil {
		return nil, err
	}
	if secret, ok := message.(*feedpb.Secret); ok {
		return secretContent(w.kind.name, secret)
	}
	if !w.kind.istio() {
		return nil, fmt.Errorf("%s holds %s", w.kind.name, proto.MessageName(message))
	}
	text, err := protojson.Marshal(message)
	if err != nil {
		return nil, err
	}
	spec := map[string]any{}
	return map[string]any{"spec": spec}, utiljson.Unmarshal(text, &spec) // numbers as the dynamic client has them
}

// secretContent is a certificate as Istio's gateways look for it.
func secretContent(kind string, s *feedpb.Secret) (map[string]any, error) {
	if kind == configMapKind {
		return map[string]any{"data": map[string]any{"ca.crt": string(s.Ca)}}, nil
	}
	if kind != secretKind {
		return nil, fmt.Errorf("%s holds a secret", kind)
	}
	data, form := map[string]any{}, "Opaque"
	for key, value := range map[string][]byte{"tls.crt": s.Certificate, "tls.key": s.Key, "ca.crt": s.Ca} {
		if len(value) > 0 {
			data[key] = value
		}
	}
	if len(s.Certificate) > 0 && len(s.Key) > 0 {
		form = "kubernetes.io/tls"
	}
	return map[string]any{"type": form, "data": data}, nil
}

// originsText is the origins for people who look at the object: "Kind/namespace/name field".
func originsText(origins []*feedpb.Origin) string {
	var list []string
	for _, o := range origins {
		text := o.Kind + "/" + o.Namespace + "/" + o.Name
		if o.Field != "" {
			text += " " + o.Field
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

// isMet is whether the cluster has it.
func (w *wanted) isMet(l *live) bool {
	if l == nil || !l.own || l.terminating || l.version != w.Version || l.origins != w.origins {
		return false
	}
	for key, value := range w.Labels {
		if l.labels[key] != value && key != ManagedBy && key != ZoneLabel {
			return false
		}
	}
	return l.content == w.hash || w.accepted != "" && l.content == w.accepted
}

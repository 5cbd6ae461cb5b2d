package pilot

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/config/schema/kind"
	"istio.io/istio/pkg/config/schema/resource"
	"istio.io/istio/pkg/util/sets"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// Kinds that are not Istio's: certificates to show, and certificates of authorities to trust.
const (
	secretKind    = "Secret"
	configMapKind = "ConfigMap"
)

// refusedKinds are Istio's that cannot be served here: workloads are the edge's own, and the two kinds of
// extensions need downloads.
var refusedKinds = map[config.GroupVersionKind]bool{
	gvk.WorkloadEntry: true, gvk.WorkloadGroup: true, gvk.WasmPlugin: true, gvk.TrafficExtension: true,
}

// content is a resource, read: an Istio object or a secret, never both.
type content struct {
	*feedpb.Resource
	config *config.Config
	secret *feedpb.Secret
}

// read opens the envelope and validates what is in it. The error says what is wrong, for the person who
// wrote the intent.
func read(r *feedpb.Resource) (*content, error) {
	kindName, namespace, name, err := splitName(r.GetName())
	if err != nil {
		return nil, err
	}
	if kindName == secretKind || kindName == configMapKind {
		return readSecret(r)
	}
	schema, err := schemaOf(kindName, r.GetBody())
	if err != nil {
		return nil, err
	}
	spec := schema.MustNewInstance()
	if err := r.GetBody().UnmarshalTo(spec.(proto.Message)); err != nil {
		return nil, fmt.Errorf("unreadable: %w", err)
	}
	c := &config.Config{
		Meta: config.Meta{
			GroupVersionKind: schema.GroupVersionKind(), Namespace: namespace, Name: name,
			Domain: Domain, Labels: r.GetLabels(), ResourceVersion: r.GetVersion(),
		},
		Spec: spec,
	}
	if _, err := schema.ValidateConfig(*c); err != nil {
		return nil, err
	}
	if sidecar, ok := spec.(*networking.Sidecar); ok {
		importShortNames(sidecar)
	}
	return &content{Resource: r, config: c}, nil
}

func readSecret(r *feedpb.Resource) (*content, error) {
	secret := &feedpb.Secret{}
	if err := r.GetBody().UnmarshalTo(secret); err != nil {
		return nil, fmt.Errorf("unreadable: %w", err)
	}
	if err := checkSecret(secret); err != nil {
		return nil, err
	}
	return &content{Resource: r, secret: secret}, nil
}

func splitName(name string) (kind, namespace, object string, err error) {
	parts := strings.Split(name, "/")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return "", "", "", fmt.Errorf("resource name %q: want KIND/NAMESPACE/NAME", name)
	}
	return parts[0], parts[1], parts[2], nil
}

func schemaOf(kindName string, body *anypb.Any) (resource.Schema, error) {
	for _, s := range collections.Pilot.All() {
		if s.Kind() != kindName || refusedKinds[s.GroupVersionKind()] {
			continue
		}
		if got := string(body.MessageName()); got != s.Proto() {
			return nil, fmt.Errorf("%s holds a %q, want %s", kindName, got, s.Proto())
		}
		return s, nil
	}
	return nil, fmt.Errorf("kind %s is not served to machines", kindName)
}

// importShortNames lets "reviews.shop" pass wherever "reviews.shop.mesh" does: Istio filters a service's other
// names by the same list of hosts.
func importShortNames(s *networking.Sidecar) {
	for _, egress := range s.Egress {
		for _, host := range egress.Hosts {
			if short, ok := strings.CutSuffix(host, "."+Domain); ok {
				egress.Hosts = append(egress.Hosts, short)
			}
		}
	}
}

// changes says to Istio what differs between two contents of one resource; either may be nil.
func changes(before, after *content) sets.Set[model.ConfigKey] {
	out := sets.New[model.ConfigKey]()
	for _, c := range []*content{before, after} {
		if c != nil {
			out.InsertAll(c.keys()...)
		}
	}
	return out
}

func (c *content) keys() []model.ConfigKey {
	if c.secret != nil {
		kindName, namespace, name, _ := splitName(c.GetName())
		if kindName == configMapKind {
			return []model.ConfigKey{{Kind: kind.ConfigMap, Name: name, Namespace: namespace}}
		}
		return []model.ConfigKey{{Kind: kind.Secret, Name: name, Namespace: namespace}}
	}
	entry, ok := c.config.Spec.(*networking.ServiceEntry)
	if !ok {
		return []model.ConfigKey{{Kind: gvk.MustToKind(c.config.GroupVersionKind), Name: c.config.Name, Namespace: c.config.Namespace}}
	}
	var keys []model.ConfigKey
	for _, host := range entry.Hosts { // Istio knows services by host
		keys = append(keys, model.ConfigKey{Kind: kind.ServiceEntry, Name: host, Namespace: c.config.Namespace})
	}
	return keys
}

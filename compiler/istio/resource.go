package istio

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// Kinds of resources in the feed, the first part of their names.
const (
	KindServiceEntry        = "ServiceEntry"
	KindDestinationRule     = "DestinationRule"
	KindVirtualService      = "VirtualService"
	KindGateway             = "Gateway"
	KindSidecar             = "Sidecar"
	KindPeerAuthentication  = "PeerAuthentication"
	KindAuthorizationPolicy = "AuthorizationPolicy"
	// The bodies of these are messages of feedpb: Secret (also of a ConfigMap), Token and ZoneInfo.
	KindSecret    = "Secret"
	KindConfigMap = "ConfigMap"
	KindToken     = "JoinToken"
	KindZone      = "Zone"
)

// Name is the name of a resource in the feed.
func Name(kind, namespace, name string) string { return kind + "/" + namespace + "/" + name }

// deterministic encoding: equal objects have equal bytes, and so equal versions.
var deterministic = proto.MarshalOptions{Deterministic: true}

const typePrefix = "type.googleapis.com/"

// resource puts an object into its envelope. The version is a hash of the object and of the origins without their generation: an edge need not hear of a change that changes nothing.
func resource(kind, namespace, name string, body proto.Message, origins []plan.Origin) *feedpb.Resource {
	value, err := deterministic.Marshal(body)
	if err != nil {
		panic("istio: object cannot be encoded: " + err.Error()) // text of an object is valid UTF-8 since it came as JSON
	}
	r := &feedpb.Resource{
		Name: Name(kind, namespace, name),
		Body: &anypb.Any{TypeUrl: typePrefix + string(body.ProtoReflect().Descriptor().FullName()), Value: value},
	}
	if len(origins) > 0 {
		r.Origins = make([]*feedpb.Origin, 0, len(origins))
	}
	for _, o := range origins {
		r.Origins = append(r.Origins, &feedpb.Origin{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name, Field: o.Field, Generation: o.Generation})
	}
	r.Version = version(r)
	return r
}

// lastResort marks the entry of a service in several zones: with no healthy workload left in a zone of machines,
// its edge lets callers ask those that are ill, until the hub has led them to another zone.
func lastResort(r *feedpb.Resource, s *plan.Service) *feedpb.Resource {
	if len(s.Places) > 1 {
		return marked(r, plan.LabelLastResort, "true")
	}
	return r
}

// marked gives a resource a label, which the edge heeds.
func marked(r *feedpb.Resource, label, value string) *feedpb.Resource {
	r.Labels = map[string]string{label: value}
	r.Version = version(r)
	return r
}

// version is 128 bits of SHA-256, hexadecimal.
func version(r *feedpb.Resource) string {
	text := make([]byte, 0, len(r.Body.Value)+256)
	add := func(part string) { text = append(append(text, part...), 0) }
	add(r.Name)
	add(r.Body.TypeUrl)
	for _, o := range r.Origins {
		add(o.Kind)
		add(o.Namespace)
		add(o.Name)
		add(o.Field)
	}
	for _, label := range slices.Sorted(maps.Keys(r.Labels)) {
		add(label)
		add(r.Labels[label])
	}
	text = append(text, r.Body.Value...)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

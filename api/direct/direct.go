// Package direct holds Istio's own kinds, which a team may write to the hub as it would to a cluster. What
// they say is read and judged by the compiler, with Istio's own rules.
package direct

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
)

// The kinds that are taken.
const (
	VirtualService        = "VirtualService"
	DestinationRule       = "DestinationRule"
	ServiceEntry          = "ServiceEntry"
	AuthorizationPolicy   = "AuthorizationPolicy"
	RequestAuthentication = "RequestAuthentication"
	PeerAuthentication    = "PeerAuthentication"
)

// Groups and version of the kinds.
var (
	Networking = schema.GroupVersion{Group: "networking.istio.io", Version: "v1"}
	Security   = schema.GroupVersion{Group: "security.istio.io", Version: "v1"}
)

var versions = map[string]schema.GroupVersion{
	VirtualService: Networking, DestinationRule: Networking, ServiceEntry: Networking,
	AuthorizationPolicy: Security, RequestAuthentication: Security, PeerAuthentication: Security,
}

// Is says whether a kind is one of those above.
func Is(kind string) bool {
	_, is := versions[kind]
	return is
}

// AddToScheme adds the kinds.
func AddToScheme(scheme *runtime.Scheme) error {
	for kind, version := range versions {
		scheme.AddKnownTypeWithName(version.WithKind(kind), &Object{})
	}
	return nil
}

// Object is an object of one of these kinds.
type Object struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// Spec as it was written, JSON.
	Spec runtime.RawExtension `json:"spec,omitempty"`
	// Status as it is for every other kind of the hub.
	Status v1alpha1.Status `json:"status,omitempty"`
}

// DeepCopyObject copies all of the object.
func (o *Object) DeepCopyObject() runtime.Object {
	c := &Object{TypeMeta: o.TypeMeta}
	o.ObjectMeta.DeepCopyInto(&c.ObjectMeta)
	o.Spec.DeepCopyInto(&c.Spec)
	o.Status.DeepCopyInto(&c.Status)
	return c
}

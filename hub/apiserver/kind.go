package apiserver

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/isthmus-mesh/isthmus/api/direct"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
)

// object is what every kind of the stream is.
type object interface {
	runtime.Object
	metav1.Object
}

// kind is a kind of the stream. The Go type is of one version; the versions of a custom resource that
// is stored in another one have the same fields (its definition has no conversion).
type kind struct {
	name       string
	resource   schema.GroupVersionResource
	namespaced bool
	make       func() object
}

// kinds are those the stream is made of.
var kinds = []kind{
	{"Tenant", v1alpha1.GroupVersion.WithResource("tenants"), false, func() object { return &v1alpha1.Tenant{} }},
	{"Workspace", v1alpha1.GroupVersion.WithResource("workspaces"), false, func() object { return &v1alpha1.Workspace{} }},
	{"Zone", v1alpha1.GroupVersion.WithResource("zones"), false, func() object { return &v1alpha1.Zone{} }},
	{"JoinToken", v1alpha1.GroupVersion.WithResource("jointokens"), false, func() object { return &v1alpha1.JoinToken{} }},
	{"Service", v1alpha1.GroupVersion.WithResource("services"), true, func() object { return &v1alpha1.Service{} }},
	{"Subset", v1alpha1.GroupVersion.WithResource("subsets"), true, func() object { return &v1alpha1.Subset{} }},
	{"TrafficPolicy", v1alpha1.GroupVersion.WithResource("trafficpolicies"), true, func() object { return &v1alpha1.TrafficPolicy{} }},
	{"GatewayClass", gatewayv1.SchemeGroupVersion.WithResource("gatewayclasses"), false, func() object { return &gatewayv1.GatewayClass{} }},
	{"Gateway", gatewayv1.SchemeGroupVersion.WithResource("gateways"), true, func() object { return &gatewayv1.Gateway{} }},
	{"HTTPRoute", gatewayv1.SchemeGroupVersion.WithResource("httproutes"), true, func() object { return &gatewayv1.HTTPRoute{} }},
	{"GRPCRoute", gatewayv1.SchemeGroupVersion.WithResource("grpcroutes"), true, func() object { return &gatewayv1.GRPCRoute{} }},
	{"TLSRoute", gatewayv1.SchemeGroupVersion.WithResource("tlsroutes"), true, func() object { return &gatewayv1.TLSRoute{} }},
	{"TCPRoute", gatewayv1.SchemeGroupVersion.WithResource("tcproutes"), true, func() object { return &gatewayv1.TCPRoute{} }},
	{"ReferenceGrant", gatewayv1.SchemeGroupVersion.WithResource("referencegrants"), true, func() object { return &gatewayv1.ReferenceGrant{} }},
	{direct.VirtualService, direct.Networking.WithResource("virtualservices"), true, func() object { return &direct.Object{} }},
	{direct.DestinationRule, direct.Networking.WithResource("destinationrules"), true, func() object { return &direct.Object{} }},
	{direct.ServiceEntry, direct.Networking.WithResource("serviceentries"), true, func() object { return &direct.Object{} }},
	{direct.AuthorizationPolicy, direct.Security.WithResource("authorizationpolicies"), true, func() object { return &direct.Object{} }},
	{direct.RequestAuthentication, direct.Security.WithResource("requestauthentications"), true, func() object { return &direct.Object{} }},
	{direct.PeerAuthentication, direct.Security.WithResource("peerauthentications"), true, func() object { return &direct.Object{} }},
	{"Namespace", corev1.SchemeGroupVersion.WithResource("namespaces"), false, func() object { return &corev1.Namespace{} }},
	{"Secret", corev1.SchemeGroupVersion.WithResource("secrets"), true, func() object { return &corev1.Secret{} }},
	{"ConfigMap", corev1.SchemeGroupVersion.WithResource("configmaps"), true, func() object { return &corev1.ConfigMap{} }},
}

// place is where an object lies in etcd, taken apart.
type place struct {
	kind            *kind
	namespace, name string
}

// key puts it together again, for custom resources.
func (p place) key() string {
	return path.Join(Prefix, p.kind.resource.Group, p.kind.resource.Resource, p.namespace, p.name)
}

// locate takes a key apart; ok is false if it is of no kind of the stream.
func locate(key string) (p place, ok bool) {
	group, rest, _ := strings.Cut(strings.TrimPrefix(key, Prefix+"/"), "/")
	resource, rest, _ := strings.Cut(rest, "/")
	if group == coreGroup {
		group = corev1.GroupName
	}
	p.kind = kindOf[schema.GroupResource{Group: group, Resource: resource}]
	if p.kind == nil {
		return p, false
	}
	p.name = rest
	if p.kind.namespaced {
		p.namespace, p.name, ok = strings.Cut(rest, "/")
		return p, ok
	}
	return p, true
}

var kindOf = func() map[schema.GroupResource]*kind {
	index := make(map[schema.GroupResource]*kind, len(kinds))
	for i := range kinds {
		index[kinds[i].resource.GroupResource()] = &kinds[i]
	}
	return index
}()

func kindNamed(name string) (*kind, error) {
	for i := range kinds {
		if kinds[i].name == name {
			return &kinds[i], nil
		}
	}
	return nil, fmt.Errorf("%s is no kind of the stream", name)
}

// decoder makes objects of what is stored: JSON for custom resources; for core kinds the envelope of
// their codec, around it, for Secrets, encryption.
type decoder struct{ transformers value.ResourceTransformers }

func (d decoder) decode(ctx context.Context, p place, key string, stored []byte, revision int64) (runtime.Object, error) {
	o := p.kind.make()
	if err := d.into(ctx, o, p.kind, key, stored); err != nil {
		return nil, err
	}
	o.GetObjectKind().SetGroupVersionKind(p.kind.resource.GroupVersion().WithKind(p.kind.name))
	o.SetResourceVersion(strconv.FormatInt(revision, 10)) // not stored: it is the key's
	return o, nil
}

func (d decoder) into(ctx context.Context, o object, k *kind, key string, stored []byte) error {
	plain, err := d.plain(ctx, k, key, stored)
	if err != nil {
		return err
	}
	if k.resource.Group != corev1.GroupName {
		return utiljson.Unmarshal(plain, o)
	}
	_, _, err = legacyscheme.Codecs.UniversalDeserializer().Decode(plain, nil, o)
	return err
}

// plain takes the encryption off; what is encrypted, encryption.yaml says.
func (d decoder) plain(ctx context.Context, k *kind, key string, stored []byte) ([]byte, error) {
	plain, _, err := d.transformers.TransformerForResource(k.resource.GroupResource()).TransformFromStorage(ctx, stored, value.DefaultContext(key))
	return plain, err
}

package kube

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// kind is a kind of object that the feed may name.
type kind struct {
	schema.GroupVersionResource
	name string
	// ours is whether only our own objects are watched: those of others are many, and none of our business.
	ours bool
	// counted is whether it is only counted, never written.
	counted bool
}

// Kinds that are not Istio's: certificates to show, and certificates of authorities to trust.
const (
	secretKind    = "Secret"
	configMapKind = "ConfigMap"
)

// kinds are all of them, by name.
var kinds = func() map[string]*kind {
	all := map[string]*kind{}
	add := func(group, version string, byName map[string]string) {
		for name, resource := range byName {
			all[name] = &kind{GroupVersionResource: schema.GroupVersionResource{Group: group, Version: version, Resource: resource}, name: name}
		}
	}
	add("networking.istio.io", "v1", map[string]string{
		"VirtualService": "virtualservices", "DestinationRule": "destinationrules", "Gateway": "gateways",
		"ServiceEntry": "serviceentries", "WorkloadEntry": "workloadentries", "Sidecar": "sidecars",
	})
	add("networking.istio.io", "v1alpha3", map[string]string{"EnvoyFilter": "envoyfilters"})
	add("security.istio.io", "v1", map[string]string{
		"PeerAuthentication": "peerauthentications", "AuthorizationPolicy": "authorizationpolicies",
		"RequestAuthentication": "requestauthentications",
	})
	add("", "v1", map[string]string{secretKind: "secrets", configMapKind: "configmaps"})
	all[secretKind].ours, all[configMapKind].ours = true, true
	all["EnvoyFilter"].counted = true
	return all
}()

// kindNames are the names of all kinds, sorted.
func kindNames() []string { return slices.Sorted(maps.Keys(kinds)) }

// istio is whether a kind is Istio's.
func (k *kind) istio() bool { return k.Group != "" }

// apiVersion as objects state it.
func (k *kind) apiVersion() string { return k.GroupVersion().String() }

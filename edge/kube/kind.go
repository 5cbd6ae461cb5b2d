package kube

import (
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// kind is a kind of object that is written.
type kind struct {
	name     string
	resource schema.GroupVersionResource
}

// kinds are all that the compiler makes for a cluster.
var kinds = []kind{
	{"VirtualService", networking("virtualservices")},
	{"DestinationRule", networking("destinationrules")},
	{"ServiceEntry", networking("serviceentries")},
	{"Gateway", networking("gateways")},
}

func networking(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: resource}
}

func kindOf(name string) (kind, bool) {
	for _, k := range kinds {
		if k.name == name {
			return k, true
		}
	}
	return kind{}, false
}

// Rules are the rights that an edge needs in its cluster: to read what runs there, and to write the kinds it
// makes.
func Rules() []rbacv1.PolicyRule {
	read := []string{"get", "list", "watch"}
	written := rbacv1.PolicyRule{
		APIGroups: []string{"networking.istio.io"},
		Verbs:     []string{"get", "list", "watch", "create", "patch", "update", "delete"},
	}
	for _, k := range kinds {
		written.Resources = append(written.Resources, k.resource.Resource)
	}
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"services", "pods"}, Verbs: read},
		{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: read},
		written,
	}
}

// split takes the name of a resource apart.
func split(resource string) (kind, namespace, name string) {
	parts := strings.SplitN(resource, "/", 3)
	if len(parts) != 3 {
		return "", "", ""
	}
	return parts[0], parts[1], parts[2]
}

package kube

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Rules are what the edge must be allowed in the whole cluster, and no more.
func Rules() []rbacv1.PolicyRule {
	read := []string{"get", "list", "watch"}
	write := []string{"create", "delete", "get", "list", "patch", "watch"}
	byGroup := map[string][]string{}
	for _, name := range kindNames() {
		k := kinds[name]
		byGroup[k.Group] = append(byGroup[k.Group], k.Resource)
	}
	rules := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"namespaces", "nodes", "pods", "services"}, Verbs: read},
		{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: read},
	}
	for _, group := range []string{"", "networking.istio.io", "security.istio.io"} {
		slices.Sort(byGroup[group])
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{group}, Resources: byGroup[group], Verbs: write})
	}
	return rules
}

// LeaseRules are what it must be allowed in its own namespace when several edges share the zone.
func LeaseRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"create", "get", "update"}}}
}

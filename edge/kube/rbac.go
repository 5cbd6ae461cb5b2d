package kube

import (
	"maps"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
)

var (
	read  = []string{"get", "list", "watch"}
	write = []string{"create", "delete", "get", "list", "patch", "watch"}
)

// Rules are what the edge must be allowed in the whole cluster, and no more.
func Rules() []rbacv1.PolicyRule {
	root := rule("", []string{"get"}, "configmaps")
	root.ResourceNames = []string{rootConfigMap}
	return append([]rbacv1.PolicyRule{
		rule("", read, "namespaces", "nodes", "pods", "services"),
		rule("discovery.k8s.io", read, "endpointslices"),
		root,
		rule("", []string{"create", "patch"}, "events"),
	}, kindRules(func(k *kind) bool { return !k.ours })...)
}

// CertificateRules are what it must be allowed besides where gateways show certificates of the hub. Without
// them nothing else is missing.
func CertificateRules() []rbacv1.PolicyRule { return kindRules(func(k *kind) bool { return k.ours }) }

// LeaseRules are what it must be allowed in its own namespace when several edges share the zone.
func LeaseRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{rule("coordination.k8s.io", []string{"create", "get", "update"}, "leases")}
}

// ReceiptsRules are what it must be allowed in istiod's namespace to learn what proxies acknowledged: to be the account,
// towards istiods only.
func ReceiptsRules(account string) []rbacv1.PolicyRule {
	token := rule("", []string{"create"}, "serviceaccounts/token")
	token.ResourceNames = []string{account}
	return []rbacv1.PolicyRule{token}
}

func rule(group string, verbs []string, resources ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: slices.Sorted(slices.Values(resources)), Verbs: verbs}
}

// kindRules are those for kinds of the feed, by group.
func kindRules(which func(*kind) bool) []rbacv1.PolicyRule {
	written, counted := map[string][]string{}, map[string][]string{}
	for _, k := range kinds {
		switch {
		case !which(k):
		case k.counted:
			counted[k.Group] = append(counted[k.Group], k.Resource)
		default:
			written[k.Group] = append(written[k.Group], k.Resource)
		}
	}
	var rules []rbacv1.PolicyRule
	for _, group := range slices.Sorted(maps.Keys(written)) {
		rules = append(rules, rule(group, write, written[group]...))
	}
	for _, group := range slices.Sorted(maps.Keys(counted)) {
		rules = append(rules, rule(group, read, counted[group]...))
	}
	return rules
}

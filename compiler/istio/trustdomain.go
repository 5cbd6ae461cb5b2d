package istio

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	security "istio.io/api/security/v1beta1"
)

// Istio lets a policy name callers without their trust domain: by namespace, by account, or by the end of a
// principal. While there was one trust domain these were its accounts; beside others they would be everybody's
// accounts of that name. So they are said to be the zone's own. Names with a trust domain stay as they are.

const (
	keyPrincipal   = "source.principal"
	keyNamespace   = "source.namespace"
	keyAccount     = "source.serviceAccount"
	keyTrustDomain = "source.trustDomain"
)

// within returns a policy whose names without a trust domain are of one.
func within(domain string, policy *security.AuthorizationPolicy) *security.AuthorizationPolicy {
	narrowed := proto.Clone(policy).(*security.AuthorizationPolicy)
	rules := narrowed.Rules
	narrowed.Rules = nil
	for _, rule := range rules {
		switch policy.Action {
		case security.AuthorizationPolicy_DENY:
			narrowed.Rules = append(narrowed.Rules, denyOthers(domain, rule)...)
		default:
			narrowed.Rules = append(narrowed.Rules, onlyOwn(domain, rule))
		}
	}
	return narrowed
}

// onlyOwn makes whom a rule admits without a trust domain those of one.
func onlyOwn(domain string, rule *security.Rule) *security.Rule {
	from := rule.From
	rule.From = nil
	for _, f := range from {
		for _, source := range sourcesWithin(domain, f.Source) {
			rule.From = append(rule.From, &security.Rule_From{Source: source})
		}
	}
	if slices.ContainsFunc(rule.When, func(c *security.Condition) bool { return isNameless(c.Key, c.Values) }) {
		rule.When = append(rule.When, &security.Condition{Key: keyTrustDomain, Values: []string{domain}})
	}
	return rule
}

// sourcesWithin is a source, parted where only some of its principals name a trust domain.
func sourcesWithin(domain string, source *security.Source) []*security.Source {
	if source == nil || len(source.TrustDomains) > 0 {
		return []*security.Source{source}
	}
	var named, nameless []string
	for _, principal := range source.Principals {
		if namesDomain(principal) {
			named = append(named, principal)
		} else {
			nameless = append(nameless, principal)
		}
	}
	var parts []*security.Source
	if len(named) > 0 {
		part := proto.Clone(source).(*security.Source)
		part.Principals = named
		parts = append(parts, part)
	}
	if len(named) == 0 || len(nameless) > 0 {
		part := proto.Clone(source).(*security.Source)
		part.Principals = nameless
		if len(source.Namespaces) > 0 || len(source.ServiceAccounts) > 0 || isNameless(keyPrincipal, nameless) {
			part.TrustDomains = []string{domain}
		}
		parts = append(parts, part)
	}
	return parts
}

// denyOthers is a rule that denies all but some, and beside it what denies those of their names in other trust domains.
func denyOthers(domain string, rule *security.Rule) []*security.Rule {
	rules := []*security.Rule{rule}
	for _, f := range rule.From {
		if source := f.Source; isNameless(keyNamespace, source.GetNotNamespaces()) || isNameless(keyAccount, source.GetNotServiceAccounts()) ||
			isNameless(keyPrincipal, source.GetNotPrincipals()) {
			other := proto.Clone(source).(*security.Source)
			other.NotNamespaces, other.NotServiceAccounts = nil, nil
			other.NotPrincipals = slices.DeleteFunc(other.NotPrincipals, func(p string) bool { return !namesDomain(p) })
			other.NotTrustDomains = append(other.NotTrustDomains, domain)
			rule.From = append(rule.From, &security.Rule_From{Source: other})
		}
	}
	for i, condition := range rule.When {
		if isNameless(condition.Key, condition.NotValues) {
			other := proto.Clone(rule).(*security.Rule)
			other.When[i] = &security.Condition{Key: keyTrustDomain, NotValues: []string{domain}}
			rules = append(rules, other)
		}
	}
	return rules
}

// isNameless is whether values of an attribute name callers, and not their trust domain. All callers are not named.
func isNameless(key string, values []string) bool {
	switch key {
	case keyNamespace, keyAccount:
		return len(values) > 0
	case keyPrincipal:
		return slices.ContainsFunc(values, func(p string) bool { return p != "*" && !namesDomain(p) })
	}
	return false
}

// namesDomain is whether a principal names its trust domain whole.
func namesDomain(principal string) bool {
	domain, _, whole := strings.Cut(principal, "/")
	return whole && !strings.Contains(domain, "*")
}

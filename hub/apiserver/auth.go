package apiserver

import (
	"context"
	"slices"

	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/request/x509"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
)

// openPaths are for everybody: programs that watch the hub have no identity.
var openPaths = []string{"/livez", "/readyz", "/healthz", "/version"}

// authenticators asks, in this order: the configured one, tokens, client certificates. Nobody else is
// somebody, except on the open paths. (The hub's own loopback token is added by the library.)
func authenticators(c Config, tokens *tokenFile, ca dynamiccertificates.CAContentProvider) authenticator.Request {
	var known []authenticator.Request
	if c.Authenticator != nil {
		known = append(known, c.Authenticator)
	}
	known = append(known, bearertoken.New(tokens), x509.NewDynamic(ca.VerifyOptions, x509.CommonNameUserConversion))
	var open []apiserver.AnonymousAuthCondition
	for _, path := range openPaths {
		open = append(open, apiserver.AnonymousAuthCondition{Path: path})
	}
	return union.New(group.NewAuthenticatedGroupAdder(union.New(known...)), anonymous.NewAuthenticator(open))
}

// guard lets the hub itself do everything and everybody look at the open paths; the rest is decided by
// the Authorizer behind it.
type guard struct{ Authorizer }

func (g guard) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if slices.Contains(a.GetUser().GetGroups(), user.SystemPrivilegedGroup) {
		return authorizer.DecisionAllow, "the hub itself", nil
	}
	if !a.IsResourceRequest() && slices.Contains(openPaths, a.GetPath()) {
		return authorizer.DecisionAllow, "open path", nil
	}
	return g.Authorizer.Authorize(ctx, a)
}

// adminsOnly is the Authorizer used when none is configured.
type adminsOnly struct{}

const denied = "only members of the group " + AdminGroup + " may do this: ask an administrator of the hub"

func (adminsOnly) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	switch {
	case isAdmin(a.GetUser()):
		return authorizer.DecisionAllow, "administrator", nil
	case isAuthenticated(a.GetUser()) && (discovers(a) || reviewsSelf(a)):
		return authorizer.DecisionAllow, "open to every user", nil
	}
	return authorizer.DecisionDeny, denied, nil
}

func isAdmin(u user.Info) bool { return slices.Contains(u.GetGroups(), AdminGroup) }

func isAuthenticated(u user.Info) bool { return slices.Contains(u.GetGroups(), user.AllAuthenticated) }

// discoveryRules are what discovers and reviewsSelf allow, in the form of an answer to
// "what may I do".
var (
	discoveryRules = []authorizer.NonResourceRuleInfo{&authorizer.DefaultNonResourceRuleInfo{
		Verbs: []string{"get"}, NonResourceURLs: []string{"/api", "/api/*", "/apis", "/apis/*", "/openapi/*", "/healthz", "/livez", "/readyz", "/version"}}}
	selfRules = []authorizer.ResourceRuleInfo{&authorizer.DefaultResourceRuleInfo{
		Verbs: []string{"create"}, APIGroups: []string{"authentication.k8s.io", "authorization.k8s.io"},
		Resources: []string{"selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"}}}
	everything = &authorizer.DefaultResourceRuleInfo{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}
	everyPath  = &authorizer.DefaultNonResourceRuleInfo{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}}
)

// RulesFor lists what a user may do.
func (adminsOnly) RulesFor(_ context.Context, u user.Info, _ string) ([]authorizer.ResourceRuleInfo, []authorizer.NonResourceRuleInfo, bool, error) {
	switch {
	case isAdmin(u), slices.Contains(u.GetGroups(), user.SystemPrivilegedGroup):
		return []authorizer.ResourceRuleInfo{everything}, []authorizer.NonResourceRuleInfo{everyPath}, false, nil
	case isAuthenticated(u):
		return selfRules, discoveryRules, false, nil
	}
	return nil, nil, false, nil
}

// discovers says whether a request only asks what exists.
func discovers(a authorizer.Attributes) bool {
	return !a.IsResourceRequest() && a.GetVerb() == "get" && matchesPath(discoveryRules[0].GetNonResourceURLs(), a.GetPath())
}

func matchesPath(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if stem, ok := cutStar(pattern); ok {
			return len(path) >= len(stem) && path[:len(stem)] == stem
		}
		return pattern == path
	})
}

func cutStar(pattern string) (stem string, ok bool) {
	if n := len(pattern); n > 0 && pattern[n-1] == '*' {
		return pattern[:n-1], true
	}
	return pattern, false
}

// reviewsSelf says whether a request asks who the user is or what he may do.
func reviewsSelf(a authorizer.Attributes) bool {
	rule := selfRules[0]
	return a.IsResourceRequest() && a.GetVerb() == "create" && slices.Contains(rule.GetAPIGroups(), a.GetAPIGroup()) &&
		slices.Contains(rule.GetResources(), a.GetResource())
}

package istio

import (
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// redirect renders all of a redirect but its path.
func redirect(r *plan.Redirect) *networking.HTTPRedirect {
	to := &networking.HTTPRedirect{Scheme: r.Scheme, Authority: r.Host, RedirectCode: uint32(r.Status)}
	switch {
	case r.Port != 0:
		to.RedirectPort = &networking.HTTPRedirect_Port{Port: uint32(r.Port)}
	case r.Scheme != "":
		to.RedirectPort = &networking.HTTPRedirect_DerivePort{DerivePort: networking.HTTPRedirect_FROM_PROTOCOL_DEFAULT}
	default:
		to.RedirectPort = &networking.HTTPRedirect_DerivePort{DerivePort: networking.HTTPRedirect_FROM_REQUEST_PORT}
	}
	return to
}

// setPath replaces the whole path.
func setPath(route *networking.HTTPRoute, rule *plan.Rule) {
	change := pathChange(rule)
	switch {
	case change == nil:
	case route.Redirect != nil:
		route.Redirect.Uri = change.Value
	case len(route.Route) > 0:
		rewriteOf(route).UriRegexRewrite = &networking.RegexRewrite{Match: "/.*", Rewrite: strings.ReplaceAll(change.Value, `\`, `\\`)}
	}
}

func rewriteOf(route *networking.HTTPRoute) *networking.HTTPRewrite {
	if route.Rewrite == nil {
		route.Rewrite = &networking.HTTPRewrite{}
	}
	return route.Rewrite
}

// prefixRoutes renders a rule that replaces the prefix that matched: the prefix itself becomes the
// replacement, and what is below it goes below that.
func prefixRoutes(entries []plan.Entry, change *plan.PathChange) []*networking.HTTPRoute {
	var all []*networking.HTTPRoute
	replacement := trimSlash(change.Value)
	for _, entry := range entries {
		for _, match := range matches(entry) {
			route := httpRoute(entry.Rule)
			if match != nil {
				route.Match = []*networking.HTTPMatchRequest{match}
			}
			self, isSelf := match.GetUri().GetMatchType().(*networking.StringMatch_Exact)
			setPrefix(route, replacement, isSelf && self.Exact != "")
			all = append(all, route)
		}
	}
	return all
}

// setPrefix replaces the prefix of the path that matched; whole says that it is all of the path.
func setPrefix(route *networking.HTTPRoute, replacement string, whole bool) {
	below := replacement + "/"
	if whole && replacement != "" {
		below = replacement
	}
	switch {
	case route.Redirect != nil && whole:
		route.Redirect.Uri = below
	case route.Redirect != nil:
		route.Redirect.PrefixRewrite = below
	case len(route.Route) > 0:
		rewriteOf(route).Uri = below
	}
}

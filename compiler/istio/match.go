package istio

import (
	"regexp"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// matches renders the match of an entry. A prefix of whole path elements takes two: the path
// itself, and everything below it. A match of everything is nil.
func matches(entry plan.Entry) []*networking.HTTPMatchRequest {
	m := entry.Match
	if m.Path == nil {
		if match := matchWithout(entry); match.Port != 0 || match.Method != nil || match.Headers != nil || match.QueryParams != nil {
			return []*networking.HTTPMatchRequest{match}
		}
		return []*networking.HTTPMatchRequest{nil}
	}
	if m.Path.Kind != plan.PathPrefix {
		match := matchWithout(entry)
		match.Uri = exact(m.Path.Value)
		if m.Path.Kind == plan.PathRegex {
			match.Uri = regex(m.Path.Value)
		}
		return []*networking.HTTPMatchRequest{match}
	}
	self, below := matchWithout(entry), matchWithout(entry)
	self.Uri, below.Uri = exact(trimSlash(m.Path.Value)), prefix(trimSlash(m.Path.Value)+"/")
	return []*networking.HTTPMatchRequest{self, below}
}

func trimSlash(path string) string { return strings.TrimRight(path, "/") }

// matchWithout is the match without its path.
func matchWithout(entry plan.Entry) *networking.HTTPMatchRequest {
	m := entry.Match
	match := &networking.HTTPMatchRequest{
		Port:        uint32(entry.Port),
		Headers:     values(m.Headers),
		QueryParams: values(m.Query),
	}
	if m.Method != "" {
		match.Method = exact(m.Method)
	}
	return match
}

func values(wanted []plan.ValueMatch) map[string]*networking.StringMatch {
	if len(wanted) == 0 {
		return nil
	}
	all := make(map[string]*networking.StringMatch, len(wanted))
	for _, v := range wanted {
		if v.Regex {
			all[v.Name] = regex(v.Value)
		} else {
			all[v.Name] = exact(v.Value)
		}
	}
	return all
}

func exact(value string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &networking.StringMatch_Exact{Exact: value}}
}

func prefix(value string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &networking.StringMatch_Prefix{Prefix: value}}
}

func regex(value string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &networking.StringMatch_Regex{Regex: value}}
}

// cors renders origins with a "*" in them as regular expressions.
func cors(c *plan.CORS) *networking.CorsPolicy {
	if c == nil {
		return nil
	}
	policy := &networking.CorsPolicy{
		AllowMethods:        c.Methods,
		AllowHeaders:        c.Headers,
		ExposeHeaders:       c.Exposed,
		MaxAge:              durationpb.New(c.MaxAge),
		AllowCredentials:    wrapperspb.Bool(c.Credentials),
		UnmatchedPreflights: networking.CorsPolicy_IGNORE,
	}
	for _, origin := range c.Origins {
		match := exact(origin)
		if strings.Contains(origin, "*") {
			match = regex(strings.ReplaceAll(regexp.QuoteMeta(origin), `\*`, ".*"))
		}
		policy.AllowOrigins = append(policy.AllowOrigins, match)
	}
	return policy
}

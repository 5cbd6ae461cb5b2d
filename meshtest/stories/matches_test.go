package stories_test

import "strings"

// matching leads to v2 by everything that an HTTPRoute can look at, to v3 by a path that is more specific, and else
// to v1.
var matching = route("reviews", strings.ReplaceAll(`  - matches:
    - {path: {type: Exact, value: /exact}}
    - {path: {type: PathPrefix, value: /prefix}}
    - {path: {type: RegularExpression, value: "/regex/[0-9]+"}}
    - {method: POST}
    - {path: {value: /header}, headers: [{name: x-exact, value: one}]}
    - {path: {value: /header}, headers: [{name: x-regex, type: RegularExpression, value: "on+e"}]}
    - {path: {value: /query}, queryParams: [{name: exact, value: one}]}
    - {path: {value: /query}, queryParams: [{name: regex, type: RegularExpression, value: "on+e"}]}
    - {path: {value: /all}, method: GET, headers: [{name: x-exact, value: one}], queryParams: [{name: exact, value: one}]}
    backendRefs: [SUBSETv2, port: 9080}]
  - matches: [{path: {type: Exact, value: /prefix/special}}]
    backendRefs: [SUBSETv3, port: 9080}]
  - backendRefs: [SUBSETv1, port: 9080}]`, "SUBSET", "{group: isthmus.dev, kind: Subset, name: reviews-"))

func everyMatch(w world) {
	w.apply(matching, "httproute/reviews")
	for _, c := range []struct {
		path, version string
		flags         []string
	}{
		{"/", "v1", nil},
		{"/exact", "v2", nil},
		{"/exact/more", "v1", nil},
		{"/prefix", "v2", nil},
		{"/prefix/more", "v2", nil},
		{"/prefixed", "v1", nil}, // prefixes are of whole segments
		{"/prefix/special", "v3", nil},
		{"/regex/12", "v2", nil},
		{"/regex/twelve", "v1", nil},
		{"/method", "v2", []string{"--request", "POST"}},
		{"/method", "v1", []string{"--request", "PUT"}},
		{"/header", "v2", []string{"--header", "X-Exact: one"}},
		{"/header", "v1", []string{"--header", "x-exact: One"}},
		{"/header", "v2", []string{"--header", "x-regex: onnne"}},
		{"/header", "v1", []string{"--header", "x-regex: ones"}}, // expressions are of whole values
		{"/query?exact=one", "v2", nil},
		{"/query?exact=two", "v1", nil},
		{"/query?other=1&regex=onnne", "v2", nil},
		{"/query?regex=two", "v1", nil},
		{"/all?exact=one", "v2", []string{"--header", "x-exact: one"}},
		{"/all?exact=one", "v1", nil},
		{"/all", "v1", []string{"--header", "x-exact: one"}},
	} {
		const sent = 3
		if tally := w.web().Ask(sent, "http://reviews:9080"+c.path, c.flags...); tally.ByVersion("reviews", c.version) != sent {
			w.Errorf("%s %q should be answered by %s: %s", c.path, c.flags, c.version, tally)
		}
	}
}

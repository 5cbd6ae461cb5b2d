package stories_test

import (
	"fmt"
	"net/http"
	"strings"
)

// The kind HTTPRoute allows 127 matches in a route, 64 of them in a rule, 1,024 bytes in a path, 16 headers in a
// match and 4,096 bytes in a header.
const (
	largeMatches, largeRule = 127, 64
	largePath, largeHeader  = 1000, 3500
)

// bulky is a match: its path, and the values of its headers.
type bulky struct {
	path   string
	values []string
}

func newBulky(number, headers int) bulky {
	b := bulky{path: fmt.Sprintf("/%03d/", number) + strings.Repeat("p", largePath)}
	for i := range headers {
		b.values = append(b.values, fmt.Sprintf("%03d-%d-", number, i)+strings.Repeat("v", largeHeader))
	}
	return b
}

func (b bulky) String() string {
	var headers []string
	for i, value := range b.values {
		headers = append(headers, fmt.Sprintf("{name: x-part-%d, value: %s}", i, value))
	}
	return fmt.Sprintf("    - {path: {type: Exact, value: %s}, headers: [%s]}\n", b.path, strings.Join(headers, ", "))
}

// curl are the flags for a request with the first headers of the match.
func (b bulky) curl(headers int) (flags []string) {
	for i, value := range b.values[:headers] {
		flags = append(flags, "--header", fmt.Sprintf("x-part-%d: %s", i, value))
	}
	return flags
}

// large is a route for details as large as headers make it. Answers tell which of its rules was followed.
func large(headers int) string {
	var rules strings.Builder
	for number := range largeMatches {
		if number%largeRule == 0 {
			fmt.Fprintf(&rules, `  - backendRefs: [{name: details, port: 9080}]
    filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-rule, value: "%d"}]}}]
    matches:
`, number/largeRule)
		}
		rules.WriteString(newBulky(number, headers).String())
	}
	return route("details", rules.String())
}

// largeRoute follows a route of nearly a mebibyte to its last match. One larger than the hub stores is refused.
func largeRoute(w world) {
	const headers, tooMany = 2, 8
	text := large(headers)
	if size := len(text); size < 1000<<10 || size > 1<<20 {
		w.Errorf("the route has %d bytes, want nearly a mebibyte", size)
	}
	path := w.mesh.Desk().WriteFile("large.yaml", text)
	w.mesh.Kubectl("apply", "--server-side", "--filename="+path) // else kubectl keeps a copy in an annotation, too large for one
	w.Cleanup(func() { w.mesh.Kubectl("delete", "--filename="+path) })
	w.programmed("httproute/details")
	for _, number := range []int{0, largeRule - 1, largeRule, largeMatches - 1} {
		b, rule := newBulky(number, headers), fmt.Sprintf("x-rule: %d", number/largeRule)
		out, err := w.web().Get("http://details:9080"+b.path, append(b.curl(headers), "--include")...)
		if err != nil || !strings.Contains(out, rule) {
			w.Errorf("match %d: want %s: %v: %s", number, rule, err, out)
		}
	}
	nearly := newBulky(largeMatches-1, headers)
	if tally := w.web().Ask(1, "http://details:9080"+nearly.path, nearly.curl(headers-1)...); tally.Status(http.StatusNotFound) != 1 {
		w.Errorf("a request that no rule matches was answered: %s", tally)
	}
	path = w.mesh.Desk().WriteFile("larger.yaml", large(tooMany))
	if out, err := w.mesh.TryKubectl("apply", "--server-side", "--filename="+path); err == nil || !strings.Contains(err.Error(), "too large") {
		w.Errorf("%d bytes: %s, %v", len(large(tooMany)), out, err)
	}
}

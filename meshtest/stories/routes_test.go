package stories_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

func canary(w world) {
	w.apply(w.Example("canary-10"), "httproute/reviews")
	tally := w.web().Ask(1000, "http://reviews:9080/")
	tally.MustLoseNothing(w)
	w.mustBe("share of v2", share(tally, "reviews", "v2"), 0.10, 0.04) // four standard deviations
	w.mustBe("share of v1", share(tally, "reviews", "v1"), 0.90, 0.04)
}

func headerMatch(w world) {
	w.apply(w.Example("header-match"), "httproute/reviews")
	for user, version := range map[string]string{"ada": "v3", "eve": "v1", "": "v1"} {
		tally := w.web().Ask(50, "http://reviews:9080/", "--header", "end-user: "+user)
		w.mustBe("share of "+version+" for user "+user, share(tally, "reviews", version), 1, 0)
	}
}

// programmedMeansObeyed changes a route again and again: when the wait returns, no request goes the old way.
func programmedMeansObeyed(w world) {
	for round := range 8 {
		version := []string{"v1", "v3"}[round%2]
		w.apply(somewhere(version), "httproute/reviews")
		tally := w.web().Ask(5, "http://reviews:9080/")
		tally.MustLoseNothing(w)
		w.mustBe(fmt.Sprintf("round %d: share of %s", round, version), share(tally, "reviews", version), 1, 0)
	}
}

// programmedWaitsForAll stops one Envoy of many: until it goes on and takes the route, the wait does not return.
func programmedWaitsForAll(w world) {
	w.apply(somewhere("v1"), "httproute/reviews")
	pid, err := w.Agents["rv2"].EnvoyPID()
	if err != nil {
		w.Fatal(err)
	}
	signal := func(name string) {
		if _, err := w.Machines["rv2"].Run(w.Context(), "", "kill", "-"+name, pid); err != nil {
			w.Error(err)
		}
	}
	signal("STOP")
	goOn := sync.OnceFunc(func() { signal("CONT") })
	defer goOn()
	w.apply(somewhere("v3"))
	wait := []string{"wait", "--for=condition=Programmed", "httproute/reviews", "-n", "shop"}
	if out, err := w.mesh.TryKubectl(append(wait, "--timeout=3s")...); err == nil || !strings.Contains(err.Error(), "timed out") {
		w.Errorf("the wait should end in vain: %v: %s", err, out)
	}
	said := w.mesh.Kubectl("get", "httproute/reviews", "-n", "shop", `--output=jsonpath={.status.parents[*].conditions[?(@.type=="Programmed")].message}`)
	if !strings.Contains(said, "8 of 9 proxies") || !strings.Contains(said, "waiting for ") {
		w.Errorf("the route says %q", said)
	}
	goOn()
	w.mesh.Kubectl(append(wait, "--timeout=20s")...)
	w.mustBe("share of v3", share(w.web().Ask(10, "http://reviews:9080/"), "reviews", "v3"), 1, 0)
}

func mirror(w world) {
	w.apply(w.Example("mirror"), "httproute/reviews")
	const sent = 50
	before := w.Requests("rv2")
	tally := w.web().Ask(sent, "http://reviews:9080/")
	tally.MustLoseNothing(w)
	w.mustBe("share of v1", share(tally, "reviews", "v1"), 1, 0)
	meshtest.Eventually(w, "v2 receives a copy of each request", func() error {
		if copies := w.Requests("rv2") - before; copies != sent {
			return fmt.Errorf("%d copies of %d requests", copies, sent)
		}
		return nil
	})
}

// mirrorShare copies some of the requests: a quarter, said in per cent and as a fraction.
func mirrorShare(w world) {
	for _, share := range []string{"percent: 25", "fraction: {numerator: 1, denominator: 4}"} {
		w.apply(strings.Replace(w.Example("mirror"), "requestMirror:\n", "requestMirror:\n        "+share+"\n", 1), "httproute/reviews")
		const sent = 300
		before := w.Requests("rv2")
		w.web().Ask(sent, "http://reviews:9080/").MustLoseNothing(w)
		w.mustBe("share of copies", float64(w.Requests("rv2")-before)/sent, 0.25, 0.10) // four standard deviations
	}
}

// entry adds to examples/rewrite.yaml what filters do to headers.
const entry = `
  - matches: [{path: {type: PathPrefix, value: /headers}}]
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier: {set: [{name: x-set, value: ours}], add: [{name: x-add, value: ours}], remove: [x-remove]}
    - type: ResponseHeaderModifier
      responseHeaderModifier: {set: [{name: x-answer, value: ours}], remove: [content-type]}
    backendRefs: [{name: details, port: 9080}]
  - matches: [{path: {type: PathPrefix, value: /elsewhere}}]
    filters:
    - type: RequestRedirect
      requestRedirect: {scheme: https, hostname: new.example.com, port: 8443, path: {type: ReplaceFullPath, replaceFullPath: /here}}
  - matches: [{path: {type: PathPrefix, value: /whole}}]
    filters:
    - type: URLRewrite
      urlRewrite: {hostname: new.example.com, path: {type: ReplaceFullPath, replaceFullPath: /all}}
    backendRefs: [{name: details, port: 9080}]
  - matches: [{path: {type: PathPrefix, value: /single}}]
    backendRefs:
    - name: details
      port: 9080
      filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-single, value: ours}]}}]
    - {name: ratings, port: 9080}
  - matches: [{path: {type: PathPrefix, value: /cors}}]
    filters:
    - type: CORS
      cors: {allowOrigins: ["https://friend.example.com"], allowMethods: [GET], allowHeaders: [x-token], maxAge: 60}
    backendRefs: [{name: details, port: 9080}]
`

func filters(w world) {
	w.apply(strings.TrimRight(w.Example("rewrite"), "\n")+entry, "httproute/details")
	w.browse("/book/1?headers", nil, http.StatusOK, `"path": "/details/1?headers"`, `"X-Shop-Entry"`)
	w.browse("/volume/1", nil, http.StatusMovedPermanently, "location: "+w.URL("/book/1"))
	w.browse("/elsewhere/1", nil, http.StatusFound, "location: https://new.example.com:8443/here")
	w.browse("/whole/1?headers", nil, http.StatusOK, `"path": "/all?headers"`, `"Host": [ "new.example.com" ]`)
	out := w.browse("/headers?headers", []string{"x-set: theirs", "x-add: theirs", "x-remove: theirs"}, http.StatusOK,
		"x-answer: ours", `"X-Set": [ "ours" ]`, `"X-Add": [ "theirs", "ours" ]`)
	for _, gone := range []string{"X-Remove", "content-type:"} {
		if strings.Contains(out, gone) {
			w.Errorf("%s should have been removed: %s", gone, out)
		}
	}
	for range 20 { // of which about half go to either
		single := w.browse("/single?headers", []string{"x-single: theirs"}, http.StatusOK)
		if ours := strings.Contains(single, `"X-Single": [ "ours" ]`); ours != strings.Contains(single, `"service": "details"`) {
			w.Errorf("the header should be set on the way to details only: %s", single)
		}
	}
	preflight := []string{"access-control-request-method: GET", "origin: https://friend.example.com"}
	w.browse("/cors", preflight, http.StatusOK, "access-control-allow-origin: https://friend.example.com",
		"access-control-allow-methods: GET", "access-control-allow-headers: x-token", "access-control-max-age: 60")
	w.browse("/cors", preflight[1:], http.StatusOK, "access-control-allow-origin: https://friend.example.com", `"service": "details"`)
	if out := w.browse("/cors", []string{"origin: https://foe.example.com"}, http.StatusOK); strings.Contains(out, "access-control-allow-origin") {
		w.Errorf("a foe is allowed: %s", out)
	}
}

// browse has the browser ask the gateway, and looks for texts in the headers and the body of the answer, in which
// any white space counts as one blank. A preflight is asked with the method of preflights.
func (w world) browse(path string, headers []string, status int, texts ...string) string {
	w.Helper()
	flags := []string{"--include", "--max-time", "10"}
	for _, header := range headers {
		flags = append(flags, "--header", header)
		if strings.HasPrefix(header, "access-control-request-method") {
			flags = append(flags, "--request", "OPTIONS")
		}
	}
	out, err := w.Browser.Get(w.URL(path), flags...)
	out = strings.Join(strings.Fields(out), " ")
	if err != nil || !strings.HasPrefix(out, fmt.Sprintf("HTTP/1.1 %d ", status)) {
		w.Errorf("%s %q: want status %d: %v: %s", path, headers, status, err, out)
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			w.Errorf("%s %q: the answer lacks %q: %s", path, headers, text, out)
		}
	}
	return out
}

package meshtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestBadInput puts everything wrong into one mesh that serves requests meanwhile: each is refused or told on its
// object, and the requests and a later change do not notice.
func TestBadInput(t *testing.T) {
	w := New(t)
	zone := w.Zone("dc1")
	w.Apply(workspaces)
	reviews, web := w.Machine("rv1"), w.Machine("web1")
	reviews.Serve("reviews", "--version=v1")
	reviews.Join(zone.Token("shop", "reviews"), "--port=9080=http", "--version=v1")
	web.Join(zone.Token("shop", "web"), "--port=9080=http", "--check=none")
	b := &badInput{t, w, web}
	Eventually(t, "web reaches reviews", func() error { return b.reaches("one") })
	for _, s := range []struct {
		name string
		run  func(*badInput)
	}{
		{"two routes for one hostname", twoRoutes},
		{"two services with one name", twoServices},
		{"a route to nothing", routeToNothing},
		{"a port without protocol", portWithoutProtocol},
		{"a workload's port without protocol", workloadWithoutProtocol},
		{"an unknown field", unknownField},
		{"an object of 1 MiB", tooLarge},
		{"a YAML bomb", yamlBomb},
	} {
		w.Run(t, s.name, func(t *testing.T) {
			b.T = t
			s.run(b)
			b.goesOn(strings.ReplaceAll(s.name, " ", "-"))
		})
	}
}

const workspaces = `apiVersion: isthmus.dev/v1alpha1
kind: Workspace
metadata: {name: shop}
---
apiVersion: isthmus.dev/v1alpha1
kind: Workspace
metadata: {name: bank}
`

type badInput struct {
	*testing.T
	w   *World
	web *Machine
}

// goesOn changes something else, and sees the change in an answer.
func (b *badInput) goesOn(marker string) {
	b.Helper()
	b.w.Apply(fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: reviews, namespace: shop}
spec:
  parentRefs: [{group: isthmus.dev, kind: Service, name: reviews}]
  rules:
  - filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-marker, value: %s}]}}]
    backendRefs: [{name: reviews, port: 9080}]
`, marker))
	b.w.Programmed("shop", "httproute/reviews")
	if err := b.reaches("x-marker: " + marker); err != nil {
		b.Errorf("another object does not change any more: %v", err)
	}
}

// reaches asks reviews and looks for words in the answer; "one" is in none and asks only for an answer.
func (b *badInput) reaches(words string) error {
	out, err := b.web.Get("http://reviews:9080/reviews/1", "--include")
	if err == nil && words != "one" && !strings.Contains(out, words) {
		err = fmt.Errorf("%q is not in %s", words, out)
	}
	return err
}

// says waits until the status of an object holds words.
func (b *badInput) says(workspace, object string, words ...string) {
	b.Helper()
	Eventually(b, object+" says what is wrong", func() error {
		out, err := b.w.TryKubectl("get", "-n", workspace, object, "-o", "jsonpath={.status}")
		for _, word := range words {
			if err == nil && !strings.Contains(out, word) {
				err = fmt.Errorf("%q is not in %s", word, out)
			}
		}
		return err
	})
}

func twoRoutes(b *badInput) {
	const both = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: WS}
spec:
  gatewayClassName: isthmus
  listeners: [{name: http, protocol: HTTP, port: 8080}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: front, namespace: WS}
spec:
  hostnames: [www.example.com]
  parentRefs: [{name: public}]
  rules: [{backendRefs: [{name: TO, port: 9080}]}]
`
	b.w.Apply(strings.NewReplacer("WS", "shop", "TO", "reviews").Replace(both))
	b.says("shop", "httproute/front", "Accepted")
	Eventually(b, "the clock of creation times, in whole seconds, moves on", func() error {
		if out := b.w.Kubectl("get", "httproute/front", "-n", "shop", "-o", "jsonpath={.metadata.creationTimestamp}"); out >= time.Now().UTC().Format(time.RFC3339) {
			return errors.New(out)
		}
		return nil
	})
	b.w.Apply(strings.NewReplacer("WS", "bank", "TO", "reviews").Replace(both))
	b.says("bank", "httproute/front", "HostnameClaimed", "www.example.com", `workspace \"shop\"`, "is older")
	b.says("shop", "httproute/front", "HostnameClaimed", "bank/front", "this one keeps it")
	b.w.Kubectl("delete", "-n", "bank", "httproute/front")
	Eventually(b, "what is settled is in conflict no more", func() error {
		out, err := b.w.TryKubectl("get", "-n", "shop", "httproute/front", "-o", "jsonpath={.status}")
		if err == nil && strings.Contains(out, "HostnameClaimed") {
			err = errors.New(out)
		}
		return err
	})
}

func twoServices(b *badInput) {
	const service = `apiVersion: isthmus.dev/v1alpha1
kind: Service
metadata: {name: NAME, namespace: shop}
spec:
  hosts: [db.internal]
  external: {hostnames: [db.example.com]}
  ports: [{port: 5432, protocol: tcp}]
`
	b.w.Apply(strings.ReplaceAll(service, "NAME", "old"))
	b.w.Apply(strings.ReplaceAll(service, "NAME", "young")) // at the same second the name decides
	b.says("shop", "services.isthmus.dev/young", "DuplicateService", "db.internal", "shop/old")
	b.says("shop", "services.isthmus.dev/old", "DuplicateService", "shop/young", "keeps it")
}

func routeToNothing(b *badInput) {
	b.w.Apply(`apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: nowhere, namespace: shop}
spec:
  parentRefs: [{group: isthmus.dev, kind: Service, name: web}]
  rules: [{backendRefs: [{name: nobody, port: 9080}]}]
`)
	b.says("shop", "httproute/nowhere", "ResolvedRefs", "BackendNotFound", "nobody")
}

func portWithoutProtocol(b *badInput) {
	b.w.MustRefuse(`apiVersion: isthmus.dev/v1alpha1
kind: Service
metadata: {name: mute, namespace: shop}
spec:
  ports: [{port: 9080}]
`, "spec.ports[0].protocol", "Required value")
}

func workloadWithoutProtocol(b *badInput) {
	agent := b.w.Machine("mute1").TryJoin("isthmus1.unused", "--port=9080", "--check=none")
	if agent.Wait() == nil {
		b.Error("the agent joined with a port without protocol")
	}
	if log := agent.Log(); !strings.Contains(log, "9080") || !strings.Contains(log, "PROTOCOL") {
		b.Errorf("the agent does not say what is missing: %s", log)
	}
}

func unknownField(b *badInput) {
	const route = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: typo, namespace: shop}
spec:
  parentRefs: [{group: isthmus.dev, kind: Service, name: reviews}]
  rules: [{backendRefs: [{name: reviews, port: 9080, wieght: 3}]}]
`
	b.w.MustRefuse(route, `unknown field "spec.rules[0].backendRefs[0].wieght"`)
	if out, err := b.w.onDesk(route, "isthmus", []string{"apply", "-f", "-"}); err == nil || !strings.Contains(err.Error(), "spec.rules[0].backendRefs[0].wieght") {
		b.Errorf("isthmus apply: %s, %v", out, err)
	}
}

func tooLarge(b *badInput) {
	large := `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: large, namespace: shop, annotations: {text: ` + strings.Repeat("x", 1<<20) + `}}
spec:
  parentRefs: [{group: isthmus.dev, kind: Service, name: reviews}]
  rules: [{backendRefs: [{name: reviews, port: 9080}]}]
`
	out, err := b.server("apply", large)
	b.refused("1 MiB of annotations", out, err, "Too long")
	data := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: large, namespace: shop}\ndata: {text: " + strings.Repeat("x", 1<<20+1) + "}\n"
	out, err = b.server("apply", data)
	b.refused("more than 1 MiB of data", out, err, "oo long")
	out, err = b.server("apply", strings.Replace(data, "xxx", strings.Repeat("x", 4<<20), 1))
	b.refused("5 MiB of data", out, err, "large")
}

// server sends YAML to the hub as it is, server-side, for what kubectl adds to an object would be too large first.
func (b *badInput) server(verb, yaml string) (string, error) {
	return b.w.onDesk(yaml, "kubectl", []string{verb, "--server-side", "-f", "-"})
}

func (b *badInput) refused(what, out string, err error, words string) {
	b.Helper()
	if err == nil || !strings.Contains(err.Error(), words) {
		b.Errorf("%s: %.300s, %.600v; want a refusal with %q", what, out, err, words)
	}
}

// bomb is YAML of a kilobyte that means 9^9 values.
func bomb() string {
	var s strings.Builder
	s.WriteString("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb, namespace: shop}\nl0: &l0 [x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i <= 9; i++ {
		fmt.Fprintf(&s, "l%d: &l%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*l%d,", i-1), 9), ","))
	}
	return s.String() + "data: {a: *l9}\n"
}

// bombMemory is how much more memory a hub may have after a bomb than before, in bytes.
const bombMemory = 200 << 20

func yamlBomb(b *badInput) {
	hub := b.w.Hub()
	before, err := hub.RSS()
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	for _, program := range []string{"kubectl", "isthmus"} {
		if out, err := b.w.onDesk(bomb(), program, []string{"apply", "-f", "-"}); err == nil {
			b.Errorf("%s applied a bomb: %s", program, out)
		}
	}
	for _, r := range [][]string{
		{"--request", "POST", "/api/v1/namespaces/shop/configmaps", "application/yaml"},
		{"--request", "PATCH", "/api/v1/namespaces/shop/configmaps/bomb?fieldManager=x", "application/apply-patch+yaml"},
		{"--request", "POST", "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes", "application/yaml"},
		{"--request", "PATCH", "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/bomb?fieldManager=x", "application/apply-patch+yaml"},
	} {
		b.raw(r[1], r[2], r[3], bomb())
	}
	after, err := hub.RSS()
	if took := time.Since(began); err != nil || after > before+bombMemory || took > Patience {
		b.Errorf("the hub went from %d to %d MB in %v (%v)", before>>20, after>>20, took, err)
	}
	hub.MustRun()
}

// raw posts a body to the hub and wants a refusal of the client's kind.
func (b *badInput) raw(method, path, contentType, body string) {
	b.Helper()
	status, text, err := b.w.post(b.Context(), method, path, contentType, body)
	if err != nil || status < 400 || status >= 500 {
		b.Errorf("%s %s as %s was answered %d %.300s (%v)", method, path, contentType, status, text, err)
	}
}

// post sends a request to the hub as the administrator, without any library between.
func (w *World) post(ctx context.Context, method, path, contentType, body string) (status int, text string, err error) {
	request := w.client().raw.Verb(method).AbsPath(strings.Split(path, "?")[0]).SetHeader("Content-Type", contentType).Body([]byte(body))
	if _, query, ok := strings.Cut(path, "?"); ok {
		name, value, _ := strings.Cut(query, "=")
		request = request.Param(name, value)
	}
	result := request.Do(ctx).StatusCode(&status)
	raw, err := result.Raw()
	if status > 0 {
		err = nil
	}
	return status, string(raw), err
}

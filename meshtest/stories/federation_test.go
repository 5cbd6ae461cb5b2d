package stories_test

import (
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/meshtest"
	"github.com/isthmus-mesh/isthmus/meshtest/kube"
)

const federatedDomain = "prod-1.example"

// The namespace of the cluster has the workspace's name, so that accounts differ in nothing but their trust domain.
const federationIntent = `apiVersion: isthmus.dev/v1alpha1
kind: Workspace
metadata: {name: shop}
spec: {zones: [dc1, prod-1/shop]}
---
` + eastWestGateway

// TestFederation has machines and a cluster that keeps its own root and trust domain call each other, as whom they
// are, once an operator trusts the cluster.
func TestFederation(t *testing.T) {
	f := newFederation(t)
	mesh := f.mesh
	mesh.Run(t, "a cluster that is not federated is refused", f.refused)
	mesh.Run(t, "an operator looks at the cluster's root and trusts it", f.accept)
	mesh.Run(t, "both sides call each other as whom they are", f.calls)
	mesh.Run(t, "a policy for an account admits no account of that name elsewhere", f.policies)
	mesh.Run(t, "the cluster's root vouches for its own trust domain only", f.forge)
	mesh.Run(t, "the operator takes trust back", f.end)
}

// federation is a zone of machines with web and ratings, and a cluster with web and details.
type federation struct {
	*bridge
	root    *identity.Authority // the cluster's
	key     crypto.Signer
	ratings *meshtest.Machine
}

func newFederation(t *testing.T) *federation {
	f := &federation{bridge: &bridge{T: t, mesh: meshtest.New(t)}}
	f.machines()
	f.cluster()
	return f
}

func (f *federation) machines() {
	f.dc1 = f.mesh.Zone("dc1")
	f.mesh.Isthmus("zone", "create", "prod-1", "--type=kubernetes", "--output=json")
	f.mesh.Apply(federationIntent)
	gateway := f.mesh.Machine("bridge1")
	gateway.Gateway(f.dc1.GatewayToken("shop", "bridge"))
	f.eastWest("dc1", gateway.IPv4.String())
	f.web1, _ = f.join("web1", "web")
	f.ratings, _ = f.join("ratings1", "ratings")
}

// cluster is one whose owner has done what isthmus zone trust asks for.
func (f *federation) cluster() {
	f.prod = kube.On(f.mesh, "prod")
	f.prod.InstallIstioCRDs()
	f.startEdge(2)
	var values struct {
		Env        map[string]string
		MeshConfig map[string]any
	}
	f.must(yaml.Unmarshal([]byte(f.mesh.Isthmus("zone", "trust", "prod-1")), &values))
	f.prod.StartIstiod(kube.Istio{TrustDomain: federatedDomain, CA: f.ownRoot(), Env: values.Env, Mesh: values.MeshConfig})
	f.prod.StartKubelet()
	f.prod.Apply(storeObjects)
	f.prod.ServeGateway("eastwest", "eastwestgateway")
	f.prod.Serve("shop", "details", "prod-1")
	f.prod.Serve("shop", "web", "prod-1")
	f.prod.WaitPod("shop", "app=details")
	f.web2 = f.prod.WaitPod("shop", "app=web")
	f.eastWest("prod-1", f.prod.WaitPod("istio-system", "istio=eastwestgateway").IPv4.String())
}

// ownRoot makes the cluster's root, which signs itself.
func (f *federation) ownRoot() *kube.CA {
	var err error
	f.key, err = identity.NewKey()
	f.must(err)
	f.root, err = identity.NewRoot(federatedDomain, f.key, time.Now)
	f.must(err)
	key, err := identity.EncodeKey(f.key)
	f.must(err)
	text := identity.EncodeCertificates(f.root.Roots())
	return &kube.CA{Certificate: text, Key: key, Chain: text, Root: text}
}

func (f *federation) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

const ratingsURL = "http://ratings:9080/"

func (f *federation) refused(t *testing.T) {
	f.mesh.Says("not trusted: a root of its own")
	f.never(t)
}

// never has neither side answer the other, though each knows where to ask.
func (f *federation) never(t *testing.T) {
	t.Helper()
	for url, from := range map[string]*meshtest.Machine{detailsURL: f.web1, ratingsURL: f.web2.Machine} {
		meshtest.Eventually(t, from.Name+" knows where to ask", func() error {
			if failures := strings.Join(from.Ask(1, url).Failures(), " "); strings.Contains(failures, "no healthy upstream") {
				return errors.New(failures)
			}
			return nil
		})
		if tally := from.Ask(10, url); tally.Status(http.StatusServiceUnavailable) != 10 {
			t.Errorf("%s is not refused: %s", from.Name, tally)
		}
	}
}

var fingerprints = regexp.MustCompile(`SHA-256 ([0-9a-f]{64})`)

func (f *federation) accept(t *testing.T) {
	var found string
	meshtest.Eventually(t, "the cluster's root is shown", func() error {
		out, err := f.mesh.TryIsthmus("zone", "federate", "prod-1")
		if match := fingerprints.FindStringSubmatch(out); err == nil && match != nil {
			found = match[1]
			return nil
		}
		return fmt.Errorf("%v: %s", err, out)
	})
	if want := identity.Fingerprint(f.root.Certificate()); found != want {
		t.Fatalf("the root shown is %s, want %s", found, want)
	}
	if out, err := f.mesh.TryIsthmus("zone", "federate", "prod-1", "--domain="+federatedDomain, "--root="+strings.Repeat("0", 64)); err == nil {
		t.Errorf("a root that is not there is trusted: %s", out)
	}
	f.mesh.Isthmus("zone", "federate", "prod-1", "--domain="+federatedDomain, "--root="+found)
	f.mesh.Says("trust: federated")
}

func (f *federation) calls(t *testing.T) {
	eventuallyAll(t, f.web1, detailsURL, "details", "prod-1")
	eventuallyAll(t, f.web2.Machine, ratingsURL, "ratings", "dc1")
	f.seen(t, f.web1, detailsURL, "details", "spiffe://isthmus.local/ns/shop/sa/web")
	f.seen(t, f.web2.Machine, ratingsURL, "ratings", "spiffe://"+federatedDomain+"/ns/shop/sa/web")
}

// seen looks at whom a service says its caller is.
func (f *federation) seen(t *testing.T, from *meshtest.Machine, url, service, caller string) {
	t.Helper()
	tally := from.Ask(20, url)
	tally.MustLoseNothing(t)
	if got := tally.Callers(service); !slices.Equal(got, []string{caller}) {
		t.Errorf("%s saw %q, want %s", service, got, caller)
	}
}

// callers are policies of the workspace, for ratings on machines and for details in the cluster.
func callers(source string) string {
	return calledBy("ratings", "isthmus.dev/service: ratings", source) + "---\n" + calledBy("details", "app: details", source)
}

func calledBy(name, label, source string) string {
	return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ` + name + `, namespace: shop}
spec: {selector: {matchLabels: {` + label + `}}, rules: [{from: [{source: {` + source + `}}]}]}
`
}

func (f *federation) policies(t *testing.T) {
	f.mesh.Apply(callers(`serviceAccounts: [shop/web]`)) // of the zone that it is in
	f.answers(t, "the account of the zone", map[*meshtest.Machine]int{f.web1: 403, f.web2.Machine: 200}, map[*meshtest.Machine]int{f.web1: 200, f.web2.Machine: 403})
	f.mesh.Apply(callers(`principals: ["isthmus.local/ns/shop/sa/web"]`))
	f.answers(t, "the mesh's account", map[*meshtest.Machine]int{f.web1: 200, f.web2.Machine: 403}, map[*meshtest.Machine]int{f.web1: 200, f.web2.Machine: 403})
	f.mesh.Apply(callers(`principals: ["isthmus.local/ns/shop/sa/web", "` + federatedDomain + `/ns/shop/sa/web"]`))
	both := map[*meshtest.Machine]int{f.web1: 200, f.web2.Machine: 200}
	f.answers(t, "both accounts", both, both)
	f.mesh.Kubectl("delete", "authorizationpolicy.security.istio.io", "ratings", "details", "--namespace=shop")
}

// answers waits until details and ratings answer each caller with a status.
func (f *federation) answers(t *testing.T, whom string, details, ratings map[*meshtest.Machine]int) {
	t.Helper()
	for url, want := range map[string]map[*meshtest.Machine]int{detailsURL: details, ratingsURL: ratings} {
		for from, status := range want {
			meshtest.Eventually(t, fmt.Sprintf("%s asks %s, which admits %s", from.Name, url, whom), func() error {
				if tally := from.Ask(10, url); tally.Status(status) != 10 {
					return fmt.Errorf("want %d: %s", status, tally)
				}
				return nil
			})
		}
	}
}

// forge has somebody with the cluster's root sign identities.
func (f *federation) forge(t *testing.T) {
	thief := f.mesh.Machine("thief")
	if status, err := f.call(thief, federatedDomain, f.root); err != nil || status != http.StatusOK {
		t.Fatalf("the cluster's root for its own trust domain: %d, %v", status, err)
	}
	if status, err := f.call(thief, "isthmus.local", f.root); err == nil {
		t.Errorf("the cluster's root for the mesh's trust domain: %d", status)
	}
	if status, err := f.call(thief, "third.example", f.root); err == nil {
		t.Errorf("the cluster's root for a third trust domain: %d", status)
	}
	key, err := identity.NewKey()
	f.must(err)
	stranger, err := identity.NewRoot(federatedDomain, key, time.Now)
	f.must(err)
	if status, err := f.callAs(thief, federatedDomain, stranger, key); err == nil {
		t.Errorf("another root for the cluster's trust domain: %d", status)
	}
}

func (f *federation) call(from *meshtest.Machine, domain string, root *identity.Authority) (int, error) {
	return f.callAs(from, domain, root, f.key)
}

// callAs asks the machine of ratings itself as web of a trust domain, with a certificate that a root signs.
func (f *federation) callAs(from *meshtest.Machine, domain string, root *identity.Authority, rootKey crypto.Signer) (int, error) {
	f.Helper()
	authority, err := identity.NewAuthority(domain, rootKey, root.Roots(), root.Roots(), time.Now)
	f.must(err)
	key, err := identity.NewKey()
	f.must(err)
	csr, err := identity.NewRequest(key)
	f.must(err)
	chain, err := authority.Sign(csr, identity.Workload(domain, "shop", "web"), time.Hour, nil, nil)
	f.must(err)
	certificate, err := identity.Chain(key, chain)
	f.must(err)
	config := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{*certificate}}
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: from.DialContext, TLSClientConfig: config, DisableKeepAlives: true}}
	response, err := client.Get(fmt.Sprintf("https://%s:9080/", f.ratings.IPv4))
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

func (f *federation) end(t *testing.T) {
	f.mesh.Isthmus("zone", "federate", "prod-1", "--end")
	f.mesh.Says("not trusted: a root of its own")
	thief := f.mesh.Machine("thief2")
	meshtest.Eventually(t, "machines refuse the cluster's root again", func() error {
		if status, err := f.call(thief, federatedDomain, f.root); err == nil {
			return fmt.Errorf("status %d", status)
		}
		return nil
	})
}

package pilot

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	networking "istio.io/api/networking/v1alpha3"
	security "istio.io/api/security/v1beta1"
	selection "istio.io/api/type/v1beta1"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// issuer signs tokens and shows its keys.
type issuer struct {
	t    testing.TB
	name string
	key  *ecdsa.PrivateKey
	// strangers counts those who fetch keys and are no Envoy.
	fetched, strangers atomic.Int64
}

func newIssuer(t testing.TB, name string) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	return &issuer{t: t, name: name, key: key}
}

// ServeHTTP shows the key, as a set.
func (i *issuer) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	i.fetched.Add(1)
	if r.Header.Get("X-Envoy-Internal") == "" {
		i.strangers.Add(1)
	}
	public, err := i.key.PublicKey.Bytes()
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	point := public[1:] // after the mark of an uncompressed point
	fmt.Fprintf(rw, `{"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "x": %q, "y": %q}]}`, encode(point[:32]), encode(point[32:]))
}

// token is one for a minute.
func (i *issuer) token() string {
	claims, err := json.Marshal(map[string]any{"iss": i.name, "sub": "ada", "exp": time.Now().Add(time.Minute).Unix()})
	check(i.t, err)
	text := encode([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + encode(claims)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	check(i.t, err)
	return text + "." + encode(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// keysEntry makes a host outside of the mesh known, at a port of this machine.
func keysEntry(t testing.TB, name string, port uint32) *feedpb.Resource {
	return pack(t, "ServiceEntry/shop/"+name, "1", &networking.ServiceEntry{
		Hosts: []string{name + ".example"}, ExportTo: []string{"."}, Resolution: networking.ServiceEntry_STATIC,
		Ports:     []*networking.ServicePort{{Number: 80, Name: "http", Protocol: "HTTP"}},
		Endpoints: []*networking.WorkloadEntry{{Address: "127.0.0.1", Ports: map[string]uint32{"http": port}}},
	})
}

// tokensAt has a service take tokens of issuers whose keys are at NAME.example.
func tokensAt(t testing.TB, service string, names ...string) *feedpb.Resource {
	policy := &security.RequestAuthentication{Selector: &selection.WorkloadSelector{MatchLabels: map[string]string{plan.LabelService: service}}}
	for _, name := range names {
		policy.JwtRules = append(policy.JwtRules, &security.JWTRule{Issuer: name, JwksUri: "http://" + name + ".example/keys"})
	}
	return pack(t, "RequestAuthentication/shop/"+service, "1", policy)
}

// TestRealKeys: proxies fetch the keys of tokens through a ServiceEntry. Keys that cannot be reached, or whose host nobody
// has made known, have tokens refused where they are asked for, and hurt nobody else.
func TestRealKeys(t *testing.T) {
	w := newWorld(t)
	good, forger, gone := newIssuer(t, "good"), newIssuer(t, "good"), newIssuer(t, "gone")
	app := listen(t, &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})})
	web, reviews, ratings := sidecar("web", "web-1", "127.31.0.4"), sidecar("reviews", "reviews-1", "127.31.0.5"), sidecar("ratings", "ratings-1", "127.31.0.6")
	for _, workload := range []*Workload{&web, &reviews, &ratings} {
		workload.Capture, workload.Ports = Explicit, []Port{{Port: 9080, Protocol: "http", Target: app}}
	}
	web.HTTPProxy = "127.31.0.4:15080"
	w.pilot.SetWorkloads([]Workload{web, reviews, ratings}, nil)
	w.apply(1, shopService(t, "web", "240.0.0.3", 9080, "HTTP"), shopService(t, "reviews", "240.0.0.1", 9080, "HTTP"), shopService(t, "ratings", "240.0.0.2", 9080, "HTTP"),
		keysEntry(t, "good", listen(t, &http.Server{Handler: good})), keysEntry(t, "gone", 1),
		tokensAt(t, "reviews", "good"), tokensAt(t, "ratings", "gone", "nobody"))
	for _, workload := range []Workload{reviews, ratings, web} {
		w.boot(workload, 1)
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: web.HTTPProxy})}}
	ask := func(service, token string) func() (*http.Response, error) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+service+":9080/", nil)
		check(t, err)
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		return func() (*http.Response, error) { return client.Do(request) }
	}
	refused := func(service, token string) {
		t.Helper()
		resp, err := ask(service, token)()
		check(t, err)
		resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s with a token that is not good: %s", service, resp.Status)
		}
	}
	fetch(t, ask("ratings", ""))
	refused("ratings", gone.token())
	refused("ratings", newIssuer(t, "nobody").token())
	fetch(t, ask("reviews", good.token()))
	refused("reviews", forger.token())
	fetch(t, ask("ratings", ""))
	fetch(t, ask("reviews", ""))
	if len(w.pilot.Rejections()) > 0 {
		t.Errorf("rejected: %v", w.pilot.Rejections())
	}
	if good.fetched.Load() == 0 || good.strangers.Load() > 0 {
		t.Errorf("of %d who fetched keys %d were no proxies", good.fetched.Load(), good.strangers.Load())
	}
}

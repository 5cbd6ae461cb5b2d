package pilot

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	networking "istio.io/api/networking/v1alpha3"
	v3 "istio.io/istio/pilot/pkg/xds/v3"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
)

// serverSecret is a self-signed certificate for the name.
func serverSecret(t testing.TB, version, name string) *feedpb.Resource {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	return secretWith(t, version, name, key)
}

// weakSecret has a key that is too short for Envoy.
func weakSecret(t testing.TB, version, name string) *feedpb.Resource {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	check(t, err)
	return secretWith(t, version, name, key)
}

func secretWith(t testing.TB, version, name string, key crypto.Signer) *feedpb.Resource {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	return pack(t, "Secret/shop/cert", version, &feedpb.Secret{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	})
}

const secretName = "kubernetes://cert"

func TestSecretsAreForGatewaysOfTheWorkspace(t *testing.T) {
	w := shop(t)
	foreign := gatewayWorkload()
	foreign.Name, foreign.Workspace = "ingress-9", "bank"
	w.pilot.SetWorkloads([]Workload{gatewayWorkload(), foreign}, nil)
	w.apply(2, ingressGateway(t), serverSecret(t, "1", "a.example"))
	ask := func(workload Workload, name string) *client {
		c := w.connect(workload)
		w.awaitReceipt(workload.Name, 2)
		c.ask(v3.SecretType, name)
		return c
	}
	own := ask(gatewayWorkload(), secretName)
	own.await("the certificate", func() bool { return own.has[v3.SecretType][secretName] != nil })
	others := map[string]*client{
		"a sidecar of the workspace":     ask(sidecar("reviews", "reviews-1", "10.0.0.1"), secretName),
		"another workspace's gateway":    ask(foreign, secretName),
		"another workspace's, by detour": ask(foreign, "kubernetes://shop/cert"),
	}
	w.apply(3, serverSecret(t, "2", "b.example"), hostRoute(t, "ratings", "1", "x"))
	for who, c := range others {
		c.ask(v3.RouteType, "9080") // answered after what was asked before
		c.await("a later answer", func() bool { return c.has[v3.RouteType]["9080"] != nil || c.asked[v3.RouteType]["9080"] })
		c.mu.Lock()
		if c.has[v3.SecretType][secretName] != nil || len(c.has[v3.SecretType]) > 0 {
			t.Errorf("%s got it", who)
		}
		c.mu.Unlock()
	}
	w.awaitReceipt("ingress-1", 3)
}

// Authorities go to whoever sees a service of their workspace, and to nobody else.
func TestAuthoritiesGoWhereTheirServicesAreSeen(t *testing.T) {
	w := shop(t)
	authority := func(version, name string) *feedpb.Resource {
		secret := &feedpb.Secret{}
		check(t, serverSecret(t, version, name).Body.UnmarshalTo(secret))
		return pack(t, "ConfigMap/shop/partner", version, &feedpb.Secret{Ca: secret.Certificate})
	}
	reviews, guest, stranger := sidecar("reviews", "reviews-1", "10.0.0.1"), sidecar("guest", "guest-1", "10.0.0.3"), sidecar("stranger", "stranger-1", "10.0.0.4")
	guest.Workspace, stranger.Workspace = "bank", "zoo"
	w.pilot.SetWorkloads([]Workload{guest, stranger}, nil)
	scope := func(workspace, host string) *feedpb.Resource {
		return pack(t, "Sidecar/"+workspace+"/default", "1", &networking.Sidecar{Egress: []*networking.IstioEgressListener{{Hosts: []string{host}}}})
	}
	w.apply(2, authority("1", "a.example"), scope("bank", "shop/reviews.shop.mesh"), scope("zoo", "zoo/*"))
	const name = configMapScheme + "shop/partner" + authoritySuffix
	ask := func(workload Workload) *client {
		c := w.connect(workload)
		w.awaitReceipt(workload.Name, 2)
		c.ask(v3.SecretType, name)
		return c
	}
	own, seeing, blind := ask(reviews), ask(guest), ask(stranger)
	first := ""
	for _, c := range []*client{own, seeing} {
		c.await("the authority", func() bool { first = c.text(v3.SecretType, name); return first != "" })
	}
	w.apply(3, authority("2", "a.example"))
	for _, c := range []*client{own, seeing} {
		c.await("the next authority", func() bool { return c.text(v3.SecretType, name) != first })
	}
	blind.catchUp()
	blind.change(func() {
		if len(blind.has[v3.SecretType]) > 0 {
			t.Error("a proxy that sees no service of the workspace got it")
		}
	})
	w.awaitReceipt(reviews.Name, 3)
}

// A certificate that another workspace grants is the gateway's own workspace's, under a name no object has.
func TestGrantedCertificate(t *testing.T) {
	w := shop(t)
	w.pilot.SetWorkloads([]Workload{gatewayWorkload()}, nil)
	granted := serverSecret(t, "1", "a.example")
	granted.Name = "Secret/shop/bank:cert"
	gateway := ingressGateway(t)
	spec := &networking.Gateway{}
	check(t, gateway.Body.UnmarshalTo(spec))
	spec.Servers[0].Tls.CredentialName = "bank:cert"
	check(t, gateway.Body.MarshalFrom(spec))
	w.apply(2, gateway, granted)
	const name = "kubernetes://bank:cert"
	c, other := w.connect(gatewayWorkload()), w.connect(sidecar("reviews", "reviews-1", "10.0.0.1"))
	w.awaitReceipt("ingress-1", 2)
	if listener := c.text(v3.ListenerType, "0.0.0.0_8443"); !strings.Contains(listener, name) {
		t.Errorf("the listener does not ask for %s: %s", name, listener)
	}
	c.ask(v3.SecretType, name)
	c.await("the certificate", func() bool { return c.has[v3.SecretType][name] != nil })
	other.ask(v3.SecretType, name)
	other.catchUp()
	other.change(func() {
		if len(other.has[v3.SecretType]) > 0 {
			t.Error("a sidecar got it")
		}
	})
}

func TestRejectedCertificateGoesBack(t *testing.T) {
	w := shop(t)
	w.pilot.SetWorkloads([]Workload{gatewayWorkload()}, nil)
	w.apply(2, ingressGateway(t), serverSecret(t, "good", "a.example"))
	c := newClient(t)
	w.dial(c, identity.Workload(trustDomain, "shop", "ingress"), w.pilot.NodeID(gatewayWorkload()))
	w.awaitReceipt("ingress-1", 2)
	c.ask(v3.SecretType, secretName)
	c.await("the certificate", func() bool { return c.has[v3.SecretType][secretName] != nil })
	good := c.text(v3.SecretType, secretName)
	c.change(func() { c.pick = refuseOnce(v3.SecretType, "Failed to load certificate chain from <inline>") })
	w.apply(3, serverSecret(t, "bad", "b.example"), reviewsRoute(t, "1", "/a.*"))
	w.awaitReceipt("ingress-1", 3)
	if r := w.pilot.Rejections(); len(r) != 1 || r[0].Resource != "Secret/shop/cert" || !strings.Contains(r[0].Message, "Failed to load") {
		t.Fatalf("rejections %v", r)
	}
	c.await("the good certificate again", func() bool { return c.text(v3.SecretType, secretName) == good })
}

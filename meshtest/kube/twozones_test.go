package kube

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// root signs the authorities of zones that are to trust each other.
type root struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newRoot(t *testing.T) root {
	key := newKey(t)
	return root{t, key, sign(t, "root", key, nil, key)}
}

func sign(t *testing.T, name string, key *ecdsa.PrivateKey, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func pemOf(block string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: block, Bytes: der})
}

// authority is one for a zone.
func (r root) authority(name string) *CA {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		r.t.Fatal(err)
	}
	return &CA{Certificate: pemOf("CERTIFICATE", sign(r.t, name, key, r.cert, r.key).Raw), Key: pemOf("EC PRIVATE KEY", der), Root: pemOf("CERTIFICATE", r.cert.Raw)}
}

const eastWestGateway = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: eastwest, namespace: istio-system}
spec:
  selector: {istio: eastwestgateway}
  servers: [{port: {number: 15443, name: tls, protocol: TLS}, hosts: ["reviews.shop.svc.cluster.local"], tls: {mode: AUTO_PASSTHROUGH}}]
`

// Two zones with one root and trust domains of their own: a pod of one calls a service of the other through its
// gateway, and is who it is.
func TestPodsCallTheOtherZone(t *testing.T) {
	w, r := meshtest.New(t), newRoot(t)
	foreign := map[string]string{"PILOT_SKIP_VALIDATE_TRUST_DOMAIN": "true"} // else STRICT means the own domain
	east := NewZone(w, "east", Istio{CA: r.authority("east"), TrustDomain: "east.example", Env: foreign, Debounce: 10 * time.Millisecond})
	west := NewZone(w, "west", Istio{CA: r.authority("west"), TrustDomain: "west.example", Env: foreign, Network: "west-net", ClusterID: "w1"})
	for _, z := range []*Zone{east, west} {
		z.Apply(strict)
	}
	east.Serve("shop", "reviews", "v1")
	east.ServeGateway("eastwest", "eastwestgateway")
	east.Apply(eastWestGateway)
	west.Serve("shop", "web", "v1")
	gateway := east.WaitPod("istio-system", "istio=eastwestgateway")
	reviews, web := east.WaitPod("shop", "app=reviews"), west.WaitPod("shop", "app=web")
	west.Apply(strings.ReplaceAll(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews.shop.svc.cluster.local]
  addresses: [240.20.0.1]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  subjectAltNames: [spiffe://east.example/ns/shop/sa/reviews]
  endpoints: [{address: GATEWAY, ports: {http: 15443}, serviceAccount: reviews}]
`, "GATEWAY", gateway.IPv4.String()))
	answers(t, web, "http://reviews.shop.svc.cluster.local:9080/")
	tally := web.Ask(50, "http://reviews.shop.svc.cluster.local:9080/")
	tally.MustLoseNothing(t)
	if got := tally.Callers("reviews"); !slices.Equal(got, []string{"spiffe://west.example/ns/shop/sa/web"}) || tally.ByHost("reviews", reviews.Name) != 50 {
		t.Errorf("reviews saw %q: %s", got, tally)
	}
	testPlugged(t, west, r)
}

// testPlugged looks whether a zone is as it was said to be.
func testPlugged(t *testing.T, z *Zone, r root) {
	meshtest.Eventually(t, "the root is plugged", func() error {
		found, err := z.Core.CoreV1().ConfigMaps("shop").Get(t.Context(), "istio-ca-root-cert", metav1.GetOptions{})
		if err == nil && strings.TrimSpace(found.Data["root-cert.pem"]) != strings.TrimSpace(string(pemOf("CERTIFICATE", r.cert.Raw))) {
			err = fmt.Errorf("another root: %s", found.Data["root-cert.pem"])
		}
		return err
	})
	namespace, err := z.Core.CoreV1().Namespaces().Get(t.Context(), "istio-system", metav1.GetOptions{})
	if err != nil || namespace.Labels["topology.istio.io/network"] != "west-net" {
		t.Errorf("network: %v, %v", namespace.Labels, err)
	}
	if text, err := z.AskIstiod("/debug/syncz"); err != nil || !strings.Contains(string(text), `"cluster_id": "w1"`) && !strings.Contains(string(text), `"cluster_id":"w1"`) {
		t.Errorf("cluster: %v: %s", err, text)
	}
}

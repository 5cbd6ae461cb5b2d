package compiler_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/isthmus-mesh/isthmus/api/direct"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler"
)

// discovered is how archives write a compiler.Discovered.
type discovered struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Ports []struct {
			Port     int32  `json:"port"`
			Protocol string `json:"protocol"`
		} `json:"ports"`
		Versions []string            `json:"versions"`
		Zones    []string            `json:"zones"`
		Labels   []map[string]string `json:"labels"`
		Places   []struct {
			Zone       string            `json:"zone"`
			Alive      bool              `json:"alive"`
			Versions   []string          `json:"versions"`
			Identities []string          `json:"identities"`
			Selector   map[string]string `json:"selector"`
			Ports      map[int32]string  `json:"ports"`
			Targets    map[int32]int32   `json:"targets"`
		} `json:"places"`
	} `json:"spec"`
}

// discoveredGateways is how archives write a compiler.DiscoveredGateways.
type discoveredGateways struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Gateways []struct {
			Namespace string            `json:"namespace"`
			Name      string            `json:"name"`
			Port      int32             `json:"port"`
			Selector  map[string]string `json:"selector"`
			Addresses []string          `json:"addresses"`
		} `json:"gateways"`
	} `json:"spec"`
}

var newObject = map[string]func() metav1.Object{
	"Tenant":                func() metav1.Object { return &v1alpha1.Tenant{} },
	"Workspace":             func() metav1.Object { return &v1alpha1.Workspace{} },
	"Zone":                  func() metav1.Object { return &v1alpha1.Zone{} },
	"Service":               func() metav1.Object { return &v1alpha1.Service{} },
	"Subset":                func() metav1.Object { return &v1alpha1.Subset{} },
	"TrafficPolicy":         func() metav1.Object { return &v1alpha1.TrafficPolicy{} },
	"JoinToken":             func() metav1.Object { return &v1alpha1.JoinToken{} },
	"GatewayClass":          func() metav1.Object { return &gatewayv1.GatewayClass{} },
	"Gateway":               func() metav1.Object { return &gatewayv1.Gateway{} },
	"HTTPRoute":             func() metav1.Object { return &gatewayv1.HTTPRoute{} },
	"GRPCRoute":             func() metav1.Object { return &gatewayv1.GRPCRoute{} },
	"TLSRoute":              func() metav1.Object { return &gatewayv1.TLSRoute{} },
	"TCPRoute":              func() metav1.Object { return &gatewayv1.TCPRoute{} },
	"ReferenceGrant":        func() metav1.Object { return &gatewayv1.ReferenceGrant{} },
	"Secret":                func() metav1.Object { return &corev1.Secret{} },
	"ConfigMap":             func() metav1.Object { return &corev1.ConfigMap{} },
	"VirtualService":        func() metav1.Object { return &direct.Object{} },
	"DestinationRule":       func() metav1.Object { return &direct.Object{} },
	"AuthorizationPolicy":   func() metav1.Object { return &direct.Object{} },
	"ServiceEntry":          func() metav1.Object { return &direct.Object{} },
	"RequestAuthentication": func() metav1.Object { return &direct.Object{} },
	"PeerAuthentication":    func() metav1.Object { return &direct.Object{} },
	"DiscoveredService":     func() metav1.Object { return &discovered{} },
	"DiscoveredGateways":    func() metav1.Object { return &discoveredGateways{} },
}

// objects reads YAML documents strictly: a field nobody knows is an error.
func objects(t *testing.T, file string, data []byte) []compiler.Change {
	t.Helper()
	data = certificates.Replace(data)
	var changes []compiler.Change
	for _, document := range bytes.Split(append([]byte("\n"), data...), []byte("\n---")) {
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		var meta metav1.TypeMeta
		if err := yaml.Unmarshal(document, &meta); err != nil {
			t.Fatalf("%s: %v\n%s", file, err, document)
		}
		make := newObject[meta.Kind]
		if make == nil {
			t.Fatalf("%s: kind %q", file, meta.Kind)
		}
		object := make()
		if err := yaml.UnmarshalStrict(document, object); err != nil {
			t.Fatalf("%s: %v\n%s", file, err, document)
		}
		changes = append(changes, change(meta.Kind, object))
	}
	return changes
}

func change(kind string, object metav1.Object) compiler.Change {
	c := compiler.Change{Kind: kind, Namespace: object.GetNamespace(), Name: object.GetName(), Object: object}
	switch d := object.(type) {
	case *discoveredGateways:
		found := &compiler.DiscoveredGateways{}
		for _, g := range d.Spec.Gateways {
			found.Gateways = append(found.Gateways, compiler.DiscoveredGateway(g))
		}
		c.Object = found
	case *discovered:
		found := &compiler.Discovered{Workspace: d.Namespace, Name: d.Name, Versions: d.Spec.Versions, Zones: d.Spec.Zones, Labels: d.Spec.Labels}
		for _, port := range d.Spec.Ports {
			found.Ports = append(found.Ports, compiler.DiscoveredPort{Port: port.Port, Protocol: port.Protocol})
		}
		for _, place := range d.Spec.Places {
			found.Places = append(found.Places, compiler.DiscoveredPlace(place))
		}
		c.Object = found
	default:
		if object.GetGeneration() == 0 {
			object.SetGeneration(1)
		}
	}
	return c
}

// deletions reads lines KIND/NAMESPACE/NAME.
func deletions(text string) []compiler.Change {
	var changes []compiler.Change
	for line := range strings.Lines(text) {
		part := strings.SplitN(strings.TrimSpace(line), "/", 3)
		changes = append(changes, compiler.Change{Kind: part[0], Namespace: part[1], Name: part[2]})
	}
	return changes
}

// pair is a certificate and its key, PEM in base64, for Secrets in archives: they say $CERT and $KEY.
type pair struct{ certificate, key []byte }

var certificates = newPair()

func newPair() pair {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"shop.example.com"}}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return pair{encoded("CERTIFICATE", certificate), encoded("PRIVATE KEY", der)}
}

func encoded(block string, der []byte) []byte {
	text := pem.EncodeToMemory(&pem.Block{Type: block, Bytes: der})
	return []byte(base64.StdEncoding.EncodeToString(text))
}

// Replace puts the pair into the text of an archive.
func (p pair) Replace(data []byte) []byte {
	data = bytes.ReplaceAll(data, []byte("$CERT"), p.certificate)
	return bytes.ReplaceAll(data, []byte("$KEY"), p.key)
}

package istio

import (
	networking "istio.io/api/networking/v1alpha3"
	security "istio.io/api/security/v1beta1"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// RootNamespace is Istio's root namespace at the edges: objects in it hold for the whole mesh.
const RootNamespace = "istio-system"

// RootsKey is the key of a ConfigMap that holds certificates to trust, PEM.
const RootsKey = "ca.crt"

// StrictTLS renders that nothing in the mesh accepts plaintext.
func StrictTLS() *feedpb.Resource {
	return resource(KindPeerAuthentication, RootNamespace, "default", &security.PeerAuthentication{
		Mtls: &security.PeerAuthentication_MutualTLS{Mode: security.PeerAuthentication_MutualTLS_STRICT},
	}, nil)
}

// clientTLS is how callers secure connections. Inside of the mesh it is always mutual TLS, said here
// because Istio would use plaintext for an endpoint it is not sure about.
func clientTLS(s *plan.Service, p *plan.Policy) *networking.ClientTLSSettings {
	switch {
	case len(s.External) == 0:
		return &networking.ClientTLSSettings{Mode: networking.ClientTLSSettings_ISTIO_MUTUAL}
	case p.TLS == nil:
		return &networking.ClientTLSSettings{Mode: networking.ClientTLSSettings_DISABLE}
	}
	settings := &networking.ClientTLSSettings{Mode: networking.ClientTLSSettings_SIMPLE, Sni: serverName(s, p.TLS)}
	if settings.Sni != "" {
		settings.SubjectAltNames = []string{settings.Sni}
	}
	if p.TLS.Roots != "" {
		settings.CredentialName = "configmap://" + s.Workspace + "/" + p.TLS.Roots
	}
	return settings
}

// serverName is the name that is sent and verified; empty leaves it to the name in the request.
func serverName(s *plan.Service, tls *plan.OriginateTLS) string {
	if tls.ServerName == "" && len(s.External) == 1 && plan.IsName(s.External[0]) {
		return s.External[0]
	}
	return tls.ServerName
}

// Roots renders certificates to trust as the resource "ConfigMap/NAMESPACE/NAME".
func Roots(namespace, name, pem string, origins []plan.Origin) *feedpb.Resource {
	return resource(KindConfigMap, namespace, name, &feedpb.Secret{Ca: []byte(pem)}, origins)
}

// Secret renders a certificate as the resource "Secret/NAMESPACE/NAME".
func Secret(namespace, name string, certificate *feedpb.Secret, origins []plan.Origin) *feedpb.Resource {
	return resource(KindSecret, namespace, name, certificate, origins)
}

// SecretName is the name under which a gateway finds a secret in its own workspace. One that another
// workspace grants is copied there under a name no object can have.
func SecretName(gatewayNamespace, namespace, name string) string {
	if namespace == gatewayNamespace {
		return name
	}
	return namespace + ":" + name
}

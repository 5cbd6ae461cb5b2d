package compiler

import (
	"crypto/tls"

	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/istio"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// certificates resolves the certificates of a listener that ends TLS; false when one is faulty.
func (c *listenerCheck) certificates(l *plan.Listener) bool {
	if l.Protocol != plan.ListenHTTPS && l.Protocol != plan.ListenTLS {
		return true
	}
	if c.listener.TLS == nil || len(c.listener.TLS.CertificateRefs) == 0 {
		c.faulty(problem.SecretInvalid.Because("%s.tls: no certificateRefs", c.field))
		return false
	}
	for _, ref := range c.listener.TLS.CertificateRefs {
		name, good := c.certificate(ref)
		if !good {
			return false
		}
		l.Certificates = append(l.Certificates, name)
	}
	return true
}

func (c *listenerCheck) faulty(err *problem.Error) {
	c.report(against(v1alpha1.ConditionResolvedRefs, err))
}

// certificate resolves one reference to the name of the secret at the gateway, and has it sent there.
func (c *listenerCheck) certificate(ref gatewayv1.SecretObjectReference) (string, bool) {
	namespace, name := c.gateway.Namespace, string(ref.Name)
	if ref.Namespace != nil {
		namespace = string(*ref.Namespace)
	}
	if ref.Kind != nil && *ref.Kind != kindSecret || ref.Group != nil && *ref.Group != "" {
		c.faulty(problem.SecretInvalid.Because("%s.tls.certificateRefs: %q is no Secret", c.field, name))
		return "", false
	}
	from := reference{kindGateway, c.gateway.Namespace, kindSecret, name}
	if namespace != c.gateway.Namespace && !permits(c.w, from, namespace) {
		c.faulty(problem.RefNotPermitted.Because("%s.tls.certificateRefs: Secret %s/%s", c.field, namespace, name))
		return "", false
	}
	if _, err := certificateOf(c.w, namespace, name); err != nil {
		c.faulty(problem.SecretInvalid.Because("%s.tls.certificateRefs: Secret %s/%s: %v", c.field, namespace, name, err))
		return "", false
	}
	c.w.send(key{unit: unitSecret, namespace: namespace, name: name, part: c.gateway.Namespace},
		origin(c.gateway, kindGateway, c.field+".tls.certificateRefs"))
	return istio.SecretName(c.gateway.Namespace, namespace, name), true
}

// certificateOf reads a Secret of type kubernetes.io/tls and checks that it can serve.
func certificateOf(w *work, namespace, name string) (*feedpb.Secret, error) {
	object := value[*corev1.Secret](w, inputKey(kindSecret, namespace, name))
	if object == nil {
		return nil, errNoSecret
	}
	certificate, key := object.Data[corev1.TLSCertKey], object.Data[corev1.TLSPrivateKeyKey]
	if _, err := tls.X509KeyPair(certificate, key); err != nil {
		return nil, err
	}
	return &feedpb.Secret{Certificate: certificate, Key: key, Ca: object.Data[corev1.ServiceAccountRootCAKey]}, nil
}

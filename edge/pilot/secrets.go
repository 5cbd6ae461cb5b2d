package pilot

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"

	"istio.io/istio/pilot/pkg/credentials"
	"istio.io/istio/pkg/cluster"
	"istio.io/istio/pkg/config/schema/kind"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// authoritySuffix is what Istio puts behind a credential's name when only the authority in it is wanted.
const authoritySuffix = "-cacert"

// secrets are the certificates of gateways, and those of authorities. Istio asks for the former by the namespace
// of the proxy's verified identity and refuses any other; whether a proxy is a gateway it asks here. The latter it
// would give to everybody; [secretGenerator] does not.
type secrets struct {
	isGateway func(service, workspace string) bool

	mu    sync.RWMutex              // guards the rest
	named map[string]*feedpb.Secret // by name of the resource
}

func newSecrets(isGateway func(service, workspace string) bool) *secrets {
	return &secrets{isGateway: isGateway, named: map[string]*feedpb.Secret{}}
}

// checkSecret refuses what no proxy could use, so that it never gets there. A proxy may still be pickier.
func checkSecret(s *feedpb.Secret) error {
	if len(s.Certificate) == 0 && len(s.Ca) == 0 {
		return errors.New("the secret has neither a certificate nor an authority")
	}
	if len(s.Certificate) > 0 {
		if _, err := tls.X509KeyPair(s.Certificate, s.Key); err != nil {
			return fmt.Errorf("certificate and key: %w", err)
		}
	}
	if len(s.Ca) > 0 && !x509.NewCertPool().AppendCertsFromPEM(s.Ca) {
		return errors.New("the authority is no certificate")
	}
	return nil
}

func (s *secrets) put(name string, secret *feedpb.Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.named[name] = secret
}

func (s *secrets) drop(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.named, name)
}

func (s *secrets) get(kindName, namespace, name string) (*feedpb.Secret, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if secret := s.named[kindName+"/"+namespace+"/"+name]; secret != nil {
		return secret, nil
	}
	return nil, fmt.Errorf("no %s %s/%s", kindName, namespace, name)
}

// ForCluster implements [credentials.MulticlusterController]: there is one.
func (s *secrets) ForCluster(cluster.ID) (credentials.Controller, error) { return s, nil }

// AddSecretHandler implements [credentials.MulticlusterController]: changes are pushed by whoever makes them.
func (s *secrets) AddSecretHandler(func(k kind.Kind, name, namespace string)) {}

// GetCertInfo implements [credentials.Controller].
func (s *secrets) GetCertInfo(name, namespace string) (*credentials.CertInfo, error) {
	secret, err := s.get(secretKind, namespace, name)
	if err != nil {
		return nil, err
	}
	if len(secret.Certificate) == 0 {
		return nil, fmt.Errorf("secret %s/%s has no certificate", namespace, name)
	}
	return &credentials.CertInfo{Cert: secret.Certificate, Key: secret.Key}, nil
}

// GetCaCert implements [credentials.Controller]. The name may carry Istio's suffix.
func (s *secrets) GetCaCert(name, namespace string) (*credentials.CertInfo, error) {
	return s.authority(secretKind, namespace, name)
}

func (s *secrets) authority(kindName, namespace, name string) (*credentials.CertInfo, error) {
	secret, err := s.get(kindName, namespace, name)
	if err != nil {
		secret, err = s.get(kindName, namespace, strings.TrimSuffix(name, authoritySuffix))
	}
	if err != nil {
		return nil, err
	}
	if len(secret.Ca) == 0 {
		return nil, errors.New("there is no authority in it")
	}
	return &credentials.CertInfo{Cert: secret.Ca}, nil
}

// GetConfigMapCaCert implements [credentials.Controller]. The name may carry Istio's suffix too.
func (s *secrets) GetConfigMapCaCert(name, namespace string) (*credentials.CertInfo, error) {
	return s.authority(configMapKind, namespace, name)
}

// GetDockerCredential implements [credentials.Controller]: there are no registries.
func (s *secrets) GetDockerCredential(name, namespace string) ([]byte, error) {
	return nil, fmt.Errorf("no registry secret %s/%s", namespace, name)
}

// Authorize implements [credentials.Controller]: only gateways have certificates to serve.
func (s *secrets) Authorize(service, workspace string) error {
	if s.isGateway(service, workspace) {
		return nil
	}
	return fmt.Errorf("service %s of workspace %s is no gateway", service, workspace)
}

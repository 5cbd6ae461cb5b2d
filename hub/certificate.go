package hub

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/isthmus-mesh/isthmus/identity"
)

// certificate is the hub's own, renewed when half of its life is over, at the next handshake. It
// implements [identity.Source].
type certificate struct {
	root *identity.Authority
	key  crypto.Signer
	ttl  time.Duration
	dns  []string
	ips  []net.IP
	now  func() time.Time
	log  *slog.Logger

	mu      sync.Mutex // guards what follows
	current *tls.Certificate
	renewal time.Time
}

// newCertificate makes a certificate for the hosts given, names or IP addresses.
func newCertificate(root *identity.Authority, ttl time.Duration, hosts []string, now func() time.Time, log *slog.Logger) (*certificate, error) {
	key, err := identity.NewKey()
	if err != nil {
		return nil, err
	}
	c := &certificate{root: root, key: key, ttl: ttl, now: now, log: log}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			c.ips = append(c.ips, ip)
		} else {
			c.dns = append(c.dns, host)
		}
	}
	return c, c.renew()
}

// Certificate is the certificate of the moment.
func (c *certificate) Certificate() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now().After(c.renewal) {
		if err := c.renew(); err != nil {
			c.log.Error("hub: the own certificate cannot be renewed", "err", err)
		}
	}
	return c.current
}

// Roots are the roots of the mesh.
func (c *certificate) Roots() []*x509.Certificate { return c.root.Roots() }

func (c *certificate) renew() error {
	request, err := identity.NewRequest(c.key)
	if err != nil {
		return err
	}
	ders, err := c.root.Sign(request, identity.Hub(c.root.TrustDomain()), c.ttl, c.dns, c.ips)
	if err != nil {
		return err
	}
	fresh, err := identity.Chain(c.key, ders)
	if err != nil {
		return err
	}
	c.current, c.renewal = fresh, c.now().Add(c.ttl/2)
	return nil
}

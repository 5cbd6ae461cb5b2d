package apiserver

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/isthmus-mesh/isthmus/durable"
	"github.com/isthmus-mesh/isthmus/identity"
)

// Lifetimes of the API's certificates. Those below the authority are renewed when a third of the
// time is left.
const (
	authorityLife   = 20 * 365 * 24 * time.Hour
	certificateLife = 365 * 24 * time.Hour
	clockSkew       = 15 * time.Minute // of those whose clocks are behind, as in package identity
)

// pki is the API's own authority: it signs the certificate that the API shows and those that
// administrators show. It has nothing to do with the root of the mesh. Its files are ca.crt, ca.key,
// server.crt and server.key.
type pki struct {
	dir string
	now func() time.Time
	ca  *x509.Certificate
	key crypto.Signer
}

func openPKI(dir string, now func() time.Time) (*pki, error) {
	if err := privateDir(dir); err != nil {
		return nil, err
	}
	p := &pki{dir: dir, now: now}
	var err error
	if p.key, err = p.loadKey("ca.key"); err != nil {
		return nil, err
	}
	p.ca, err = p.load("ca.crt")
	if errors.Is(err, fs.ErrNotExist) {
		err = p.makeAuthority()
	}
	return p, err
}

func (p *pki) path(name string) string { return filepath.Join(p.dir, name) }

// caPEM is the authority's certificate.
func (p *pki) caPEM() []byte { return identity.EncodeCertificates([]*x509.Certificate{p.ca}) }

func (p *pki) load(name string) (*x509.Certificate, error) {
	text, err := os.ReadFile(p.path(name))
	if err != nil {
		return nil, err
	}
	chain, err := identity.DecodeCertificates(text)
	if err != nil || len(chain) == 0 {
		return nil, fmt.Errorf("%s holds no certificate: restore it from a backup (%w)", p.path(name), err)
	}
	return chain[0], nil
}

// loadKey reads a key, or makes it.
func (p *pki) loadKey(name string) (crypto.Signer, error) {
	text, err := os.ReadFile(p.path(name))
	if err == nil {
		return identity.DecodeKey(text)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, text, err := newKey()
	if err != nil {
		return nil, err
	}
	return key, durable.WriteFile(p.path(name), text)
}

func newKey() (crypto.Signer, []byte, error) {
	key, err := identity.NewKey()
	if err != nil {
		return nil, nil, err
	}
	text, err := identity.EncodeKey(key)
	return key, text, err
}

func (p *pki) makeAuthority() error {
	template := p.template("isthmus api", authorityLife)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	p.ca = template // signs itself
	signed, err := p.sign(template, p.key.Public())
	if err != nil {
		return err
	}
	p.ca = signed
	return durable.WriteFile(p.path("ca.crt"), p.caPEM())
}

func (p *pki) template(name string, life time.Duration) *x509.Certificate {
	serial := make([]byte, 16)
	rand.Read(serial) // never fails
	now := p.now()
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-clockSkew),
		NotAfter:     now.Add(life),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func (p *pki) sign(template *x509.Certificate, key crypto.PublicKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, p.ca, key, p.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// renewServer makes sure that server.crt is valid for hosts and for some time to come. The key stays
// the same, so that certificate and key on disk always fit each other.
func (p *pki) renewServer(hosts []string) error {
	key, err := p.loadKey("server.key")
	if err != nil {
		return err
	}
	template := p.template("isthmus hub", certificateLife)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	if old, err := p.load("server.crt"); err == nil && p.fresh(old) && sameHosts(old, template) {
		return nil
	}
	signed, err := p.sign(template, key.Public())
	if err != nil {
		return err
	}
	return durable.WriteFile(p.path("server.crt"), identity.EncodeCertificates([]*x509.Certificate{signed}))
}

// fresh says whether this authority signed c and more than a third of its life is left.
func (p *pki) fresh(c *x509.Certificate) bool {
	left := c.NotAfter.Sub(p.now())
	return c.CheckSignatureFrom(p.ca) == nil && left > c.NotAfter.Sub(c.NotBefore)/3
}

func sameHosts(a, b *x509.Certificate) bool {
	return slices.Equal(a.DNSNames, b.DNSNames) &&
		slices.EqualFunc(a.IPAddresses, b.IPAddresses, func(x, y net.IP) bool { return bytes.Equal(x.To16(), y.To16()) })
}

// client makes a certificate and key, PEM, for a user in groups.
func (p *pki) client(user string, groups ...string) (certificate, keyPEM []byte, err error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	template := p.template(user, certificateLife)
	template.Subject.Organization = groups
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	signed, err := p.sign(template, key.Public())
	if err != nil {
		return nil, nil, err
	}
	return identity.EncodeCertificates([]*x509.Certificate{signed}), keyPEM, nil
}

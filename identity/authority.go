package identity

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"time"
)

// backdate lets peers whose clocks are ten minutes behind, and a little more, accept a fresh certificate.
const backdate = 15 * time.Minute

// Authority signs certificates of one trust domain: the root at the hub, or a zone's intermediate.
type Authority struct {
	trustDomain string
	signer      crypto.Signer
	chain       []*x509.Certificate
	roots       []*x509.Certificate
	now         func() time.Time
}

// NewAuthority makes an authority of a key and its certificate chain, the authority's own
// certificate first. roots are what its clients shall trust.
func NewAuthority(trustDomain string, signer crypto.Signer, chain, roots []*x509.Certificate, now func() time.Time) (*Authority, error) {
	if len(chain) == 0 || len(roots) == 0 {
		return nil, fmt.Errorf("authority of %s: empty chain or no roots", trustDomain)
	}
	if !chain[0].IsCA {
		return nil, fmt.Errorf("authority of %s: certificate %s is no authority", trustDomain, chain[0].SerialNumber)
	}
	own, ok := chain[0].PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !own.Equal(signer.Public()) {
		return nil, fmt.Errorf("authority of %s: key and certificate do not belong together", trustDomain)
	}
	return &Authority{trustDomain, signer, chain, roots, now}, nil
}

// NewRoot makes the self-signed root certificate of a trust domain, valid for ten years.
func NewRoot(trustDomain string, signer crypto.Signer, now func() time.Time) (*Authority, error) {
	t := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{Organization: []string{"Isthmus"}, CommonName: "root of " + trustDomain},
		URIs:         nil,
		NotBefore:    now().Add(-backdate),
		NotAfter:     now().AddDate(10, 0, 0),
		IsCA:         true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, signer.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("root of %s: %w", trustDomain, err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("root of %s: %w", trustDomain, err)
	}
	return NewAuthority(trustDomain, signer, []*x509.Certificate{root}, []*x509.Certificate{root}, now)
}

// TrustDomain is the domain of every identity the authority signs.
func (a *Authority) TrustDomain() string { return a.trustDomain }

// Roots are the certificates that the authority's clients trust.
func (a *Authority) Roots() []*x509.Certificate { return a.roots }

// Certificate is the authority's own certificate.
func (a *Authority) Certificate() *x509.Certificate { return a.chain[0] }

// Sign answers a certificate request (PKCS#10, DER) with a leaf for an identity, valid for ttl but
// never longer than the authority itself. dns names and addresses are for servers. It returns DER
// certificates, leaf first, without the root. Names in the request are ignored.
func (a *Authority) Sign(csr []byte, id ID, ttl time.Duration, dns []string, ips []net.IP) ([][]byte, error) {
	if id.TrustDomain != a.trustDomain || !wellFormed(id.Path) {
		return nil, fmt.Errorf("sign: %s is not of trust domain %s", id, a.trustDomain)
	}
	t := a.template(ttl)
	t.URIs = append(t.URIs, id.URI())
	t.DNSNames, t.IPAddresses = dns, ips
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	return a.issue(csr, t)
}

// SignAuthority answers a certificate request with an intermediate that can sign leaves only.
func (a *Authority) SignAuthority(csr []byte, zone string, ttl time.Duration) ([][]byte, error) {
	t := a.template(ttl)
	t.Subject = pkix.Name{Organization: []string{"Isthmus"}, CommonName: zoneAuthorityName(zone, a.trustDomain)}
	t.IsCA, t.MaxPathLenZero = true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	return a.issue(csr, t)
}

// SignedByZone tells whether a verified certificate was signed by an authority of the zone: by any of
// the zone's edges.
func SignedByZone(leaf *x509.Certificate, zone, trustDomain string) bool {
	return leaf.Issuer.CommonName == zoneAuthorityName(zone, trustDomain)
}

func zoneAuthorityName(zone, trustDomain string) string {
	return "zone " + zone + " of " + trustDomain
}

func (a *Authority) template(ttl time.Duration) *x509.Certificate {
	end := a.now().Add(ttl)
	if issuer := a.chain[0].NotAfter; end.After(issuer) {
		end = issuer
	}
	return &x509.Certificate{SerialNumber: serial(), NotBefore: a.now().Add(-backdate), NotAfter: end, BasicConstraintsValid: true}
}

func (a *Authority) issue(csr []byte, t *x509.Certificate) ([][]byte, error) {
	r, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	if err := r.CheckSignature(); err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.chain[0], r.PublicKey, a.signer)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return append([][]byte{der}, a.intermediates()...), nil
}

// intermediates are the certificates between a leaf and the roots.
func (a *Authority) intermediates() [][]byte {
	var out [][]byte
	for _, c := range a.chain {
		if !isRoot(c, a.roots) {
			out = append(out, c.Raw)
		}
	}
	return out
}

func isRoot(c *x509.Certificate, roots []*x509.Certificate) bool {
	for _, r := range roots {
		if c.Equal(r) {
			return true
		}
	}
	return false
}

// serial is random as RFC 5280 and the CA/Browser Forum ask: unpredictable and unique.
func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		panic(err) // crypto/rand never fails on supported systems
	}
	return n.Add(n, big.NewInt(1))
}

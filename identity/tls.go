package identity

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"time"

	"github.com/isthmus-mesh/isthmus/api/problem"
)

// Source gives the certificate and the roots of the moment. It is asked at every handshake, so that
// a renewed certificate is used at once and established connections stay.
type Source interface {
	// Certificate is the own certificate; nil means none, for a client that is about to join.
	Certificate() *tls.Certificate
	// Roots are the authorities trusted now.
	Roots() []*x509.Certificate
}

// ClientTLS dials a peer whose identity accept agrees to. Host names play no part. Time is now's.
func ClientTLS(source Source, now func() time.Time, accept func(ID) error) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, Time: now,
		InsecureSkipVerify: true, // replaced by verify below: SPIFFE identities instead of host names
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return orEmpty(source.Certificate()), nil
		},
		VerifyConnection: func(s tls.ConnectionState) error {
			return verify(s.PeerCertificates, source.Roots(), now(), accept)
		},
	}
}

// PinnedTLS dials a peer known only by the fingerprint of its root, for joining. The peer sends its
// root along.
func PinnedTLS(pin string, now func() time.Time, accept func(ID) error) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, Time: now,
		InsecureSkipVerify: true, // replaced by the pin
		VerifyConnection: func(s tls.ConnectionState) error {
			for _, c := range s.PeerCertificates {
				if c.IsCA && Pin(c) == pin {
					return verify(s.PeerCertificates, []*x509.Certificate{c}, now(), accept)
				}
			}
			return problem.PeerUntrusted.Because("%s presents another root than the join token names", s.ServerName)
		},
	}
}

// ServerTLS serves peers; a client certificate is verified when given, and asked of the handler by
// [OfPeer]. The chain sent ends with the root, for newcomers who know only its pin.
func ServerTLS(source Source, now func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, Time: now,
		ClientAuth: tls.RequestClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			own := *source.Certificate()
			own.Certificate = own.Certificate[:len(own.Certificate):len(own.Certificate)]
			for _, r := range source.Roots() {
				own.Certificate = append(own.Certificate, r.Raw)
			}
			return &own, nil
		},
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return nil
			}
			return verify(s.PeerCertificates, source.Roots(), now(), func(ID) error { return nil })
		},
	}
}

// OfPeer is the identity of a verified connection's client; nil when it gave no certificate.
func OfPeer(s tls.ConnectionState) *ID {
	if len(s.PeerCertificates) == 0 {
		return nil
	}
	id, err := OfCertificate(s.PeerCertificates[0])
	if err != nil {
		return nil
	}
	return &id
}

// Chain makes a TLS certificate of a key and DER certificates, leaf first.
func Chain(key crypto.Signer, certificates [][]byte) (*tls.Certificate, error) {
	leaf, err := x509.ParseCertificate(certificates[0])
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: certificates, PrivateKey: key, Leaf: leaf}, nil
}

func verify(chain, roots []*x509.Certificate, now time.Time, accept func(ID) error) error {
	if len(chain) == 0 {
		return problem.PeerUntrusted.Because("the peer presents no certificate")
	}
	options := x509.VerifyOptions{
		Roots: pool(roots), Intermediates: pool(chain[1:]), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	chains, err := chain[0].Verify(options)
	if err != nil {
		return problem.PeerUntrusted.Because("the peer's certificate does not verify: %v", err)
	}
	id, err := OfCertificate(chain[0])
	if err != nil {
		return problem.PeerUntrusted.Because("%v", err)
	}
	if _, _, workload := id.AsWorkload(); !workload && ofZone(chains[0]) {
		return problem.PeerUntrusted.Because("%s is signed by a zone, which may vouch for workloads only", id)
	}
	return accept(id)
}

// ofZone tells whether a verified chain's leaf was signed by a zone's authority: one that may sign
// leaves only (see [Authority.SignAuthority]). A zone whose key is stolen so cannot pose as the hub
// or as another zone's edge.
func ofZone(chain []*x509.Certificate) bool { return len(chain) > 1 && chain[1].MaxPathLenZero }

func pool(certificates []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certificates {
		p.AddCert(c)
	}
	return p
}

// orEmpty exists because crypto/tls wants a certificate without content, not nil, for "none".
func orEmpty(c *tls.Certificate) *tls.Certificate {
	if c == nil {
		return &tls.Certificate{}
	}
	return c
}

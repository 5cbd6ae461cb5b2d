package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
)

// TrustDomain is a trust domain and the roots that may vouch for its identities.
type TrustDomain struct {
	Name  string
	Roots []*x509.Certificate
}

// Equal tells whether both are the same domain with the same roots in the same order.
func (d TrustDomain) Equal(other TrustDomain) bool {
	return d.Name == other.Name && slices.EqualFunc(d.Roots, other.Roots, (*x509.Certificate).Equal)
}

// Fingerprint is the SHA-256 of a certificate, hexadecimal, as "openssl x509 -fingerprint -sha256" has it but for
// colons and case.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

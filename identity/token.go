package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/isthmus-mesh/isthmus/api/problem"
)

// tokenPrefix makes tokens recognisable, to people and to scanners for leaked secrets.
const tokenPrefix = "isthmus1."

// Token admits one newcomer: which token object it is, the secret that proves it, where to go and
// whom to expect there. It is one word of text; whoever holds it can join, so treat it like a password.
type Token struct {
	// Name of the JoinToken object.
	Name string `json:"n"`
	// Secret, 256 bits, base64url.
	Secret string `json:"s"`
	// Addresses to dial, "host:port".
	Addresses []string `json:"a"`
	// Pin is the SHA-256 of the root's public key (PKIX), hexadecimal.
	Pin string `json:"p"`
}

// NewToken makes a token with a fresh secret.
func NewToken(name string, addresses []string, root *x509.Certificate) Token {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	return Token{Name: name, Secret: base64.RawURLEncoding.EncodeToString(secret), Addresses: addresses, Pin: Pin(root)}
}

// ParseToken reads a token. It returns [problem.TokenMalformed] for anything else.
func ParseToken(text string) (Token, error) {
	var t Token
	body, ok := strings.CutPrefix(strings.TrimSpace(text), tokenPrefix)
	if !ok {
		return t, problem.TokenMalformed.Because("it does not begin with %q", tokenPrefix)
	}
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return t, problem.TokenMalformed.Because("it is cut off or changed: %v", err)
	}
	if err := json.Unmarshal(raw, &t); err != nil {
		return t, problem.TokenMalformed.Because("it is cut off or changed: %v", err)
	}
	if t.Name == "" || t.Secret == "" || t.Pin == "" || len(t.Addresses) == 0 {
		return t, problem.TokenMalformed.Because("a part of it is missing")
	}
	return t, nil
}

// String is the token as users see it.
func (t Token) String() string {
	raw, err := json.Marshal(t)
	if err != nil {
		panic(err) // strings always marshal
	}
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(raw)
}

// SecretSHA256 is what a JoinToken object stores of the secret.
func (t Token) SecretSHA256() string {
	sum := sha256.Sum256([]byte(t.Secret))
	return hex.EncodeToString(sum[:])
}

// Proves tells, in constant time, whether the token's secret is the one that was stored.
func (t Token) Proves(storedSHA256 string) bool {
	return subtle.ConstantTimeCompare([]byte(t.SecretSHA256()), []byte(storedSHA256)) == 1
}

// Pin is the fingerprint by which a newcomer recognises a root.
func Pin(root *x509.Certificate) string {
	sum := sha256.Sum256(root.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

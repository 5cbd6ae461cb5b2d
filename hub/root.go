package hub

import (
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/isthmus-mesh/isthmus/durable"
	"github.com/isthmus-mesh/isthmus/identity"
)

// openRoot reads the root authority of the mesh from a directory, or makes it the first time. Only
// this user may read it.
func openRoot(dir, trustDomain string, now func() time.Time) (*identity.Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	keyFile, certificateFile := filepath.Join(dir, "key.pem"), filepath.Join(dir, "certificate.pem")
	certificate, err := os.ReadFile(certificateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return makeRoot(keyFile, certificateFile, trustDomain, now)
	}
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("the root's key is missing: restore it from a backup (%w)", err)
	}
	return readRoot(key, certificate, trustDomain, now)
}

func readRoot(keyText, certificateText []byte, trustDomain string, now func() time.Time) (*identity.Authority, error) {
	key, err := identity.DecodeKey(keyText)
	if err != nil {
		return nil, err
	}
	roots, err := identity.DecodeCertificates(certificateText)
	if err != nil {
		return nil, err
	}
	if made, asked := roots[0].Subject.CommonName, "root of "+trustDomain; made != asked { // as identity.NewRoot names it
		return nil, fmt.Errorf("the data directory holds the %s, not the %s: a trust domain cannot change", made, asked)
	}
	return identity.NewAuthority(trustDomain, key, roots[:1], roots, now)
}

// makeRoot writes the certificate last: a directory without one is fresh.
func makeRoot(keyFile, certificateFile, trustDomain string, now func() time.Time) (*identity.Authority, error) {
	key, err := identity.NewKey()
	if err != nil {
		return nil, err
	}
	root, err := identity.NewRoot(trustDomain, key, now)
	if err != nil {
		return nil, err
	}
	if err := writeKey(keyFile, key); err != nil {
		return nil, err
	}
	return root, durable.WriteFile(certificateFile, identity.EncodeCertificates(root.Roots()))
}

func writeKey(file string, key crypto.Signer) error {
	text, err := identity.EncodeKey(key)
	if err != nil {
		return err
	}
	return durable.WriteFile(file, text)
}

package edge

import (
	"crypto/x509"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/isthmus-mesh/isthmus/identity"
)

// Cacerts is the zone's intermediate authority in the form in which Istio takes one: the files of the Secret
// istio-system/cacerts, by name. The cluster's workloads and those of other zones then trust each other. One of
// the files is the authority's private key.
//
// https://istio.io/latest/docs/tasks/security/cert-management/plugin-ca-cert/
func Cacerts(dataDir string, now func() time.Time) (map[string][]byte, error) {
	w, err := openWallet(filepath.Join(dataDir, "credentials"), now)
	if err != nil {
		return nil, err
	}
	defer w.journal.Close()
	c := w.newest.Load()
	if c == nil {
		return nil, fmt.Errorf("%s holds no credentials: let the edge join first", dataDir)
	}
	fields := w.journal.All()
	root := identity.EncodeCertificates(c.authority.Roots())
	return map[string][]byte{
		"ca-cert.pem":    identity.EncodeCertificates([]*x509.Certificate{c.authority.Certificate()}),
		"ca-key.pem":     fields[authorityKeyField],
		"cert-chain.pem": slices.Concat(fields[authorityCertsField], root),
		"root-cert.pem":  root,
	}, nil
}

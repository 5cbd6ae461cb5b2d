package edge

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/edge/journal"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
)

// What the file of credentials holds, each under its key: PEM, or text.
const (
	keyField            = "key"
	certificatesField   = "certificates"
	authorityKeyField   = "authority-key"
	authorityCertsField = "authority-certificates"
	rootsField          = "roots"
	zoneField           = "zone"
	nameField           = "name"
	trustDomainField    = "trust-domain"
	hubField            = "hub"
)

// credentials are who an edge is at one moment: its certificate and the zone's authority, each with a key of its own.
type credentials struct {
	zone, name, trustDomain string
	hub                     []string
	own                     *tls.Certificate
	authority               *identity.Authority
}

// wallet holds the newest credentials; it is the [identity.Source] of all the edge's connections.
type wallet struct {
	now     func() time.Time
	journal *journal.Journal
	newest  atomic.Pointer[credentials]
}

// openWallet reads the credentials, if there are any.
func openWallet(path string, now func() time.Time) (*wallet, error) {
	j, err := journal.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the edge's credentials cannot be read; restore %s or join again with an empty data directory: %w", path, err)
	}
	w := &wallet{now: now, journal: j}
	if fields := j.All(); fields[certificatesField] != nil {
		c, err := readCredentials(fields, now)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("the edge's credentials in %s cannot be used; join again with an empty data directory: %w", path, err), j.Close())
		}
		w.newest.Store(c)
	}
	return w, nil
}

// Certificate is the edge's own.
func (w *wallet) Certificate() *tls.Certificate { return w.newest.Load().own }

// Roots are the mesh's.
func (w *wallet) Roots() []*x509.Certificate { return w.newest.Load().authority.Roots() }

// keep makes what the hub issued for two keys the newest credentials, on disk first.
func (w *wallet) keep(response *feedpb.AdmitResponse, name string, hub []string, keys keyPair) error {
	fields, err := issuedFields(response, keys)
	if err != nil {
		return err
	}
	fields[zoneField], fields[trustDomainField] = []byte(response.Zone), []byte(response.TrustDomain)
	fields[nameField], fields[hubField] = []byte(name), []byte(strings.Join(hub, " "))
	c, err := readCredentials(fields, w.now)
	if err != nil {
		return fmt.Errorf("the hub's answer cannot be used: %w", err)
	}
	if err := w.journal.Write(fields); err != nil {
		return problem.StateNotSaved.Because("credentials: %v", err)
	}
	w.newest.Store(c)
	return nil
}

func issuedFields(response *feedpb.AdmitResponse, keys keyPair) (map[string][]byte, error) {
	fields, errs := map[string][]byte{}, []error(nil)
	for field, ders := range map[string][][]byte{
		certificatesField: response.Certificates, authorityCertsField: response.AuthorityCertificates, rootsField: response.Roots,
	} {
		chain, err := identity.ParseCertificates(ders)
		fields[field], errs = identity.EncodeCertificates(chain), append(errs, err)
	}
	for field, key := range map[string]crypto.Signer{keyField: keys.own, authorityKeyField: keys.authority} {
		text, err := identity.EncodeKey(key)
		fields[field], errs = text, append(errs, err)
	}
	return fields, errors.Join(errs...)
}

// readCredentials checks that everything is there and fits together.
func readCredentials(fields map[string][]byte, now func() time.Time) (*credentials, error) {
	keys, err := readKeys(fields)
	if err != nil {
		return nil, err
	}
	own, err1 := identity.DecodeCertificates(fields[certificatesField])
	chain, err2 := identity.DecodeCertificates(fields[authorityCertsField])
	roots, err3 := identity.DecodeCertificates(fields[rootsField])
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	c := &credentials{
		zone: string(fields[zoneField]), name: string(fields[nameField]), trustDomain: string(fields[trustDomainField]),
		hub: strings.Fields(string(fields[hubField])),
	}
	if c.authority, err = identity.NewAuthority(c.trustDomain, keys.authority, chain, roots, now); err != nil {
		return nil, err
	}
	if c.own, err = identity.Chain(keys.own, raw(own)); err != nil {
		return nil, err
	}
	return c, c.check()
}

// check compares the certificates with what they are said to be for.
func (c *credentials) check() error {
	id, err := identity.OfCertificate(c.own.Leaf)
	if err != nil {
		return err
	}
	if want := identity.Edge(c.trustDomain, c.zone, c.name); id != want {
		return problem.IdentityRefused.Because("the edge's certificate says %s, not %s", id, want)
	}
	return nil
}

func raw(chain []*x509.Certificate) (ders [][]byte) {
	for _, c := range chain {
		ders = append(ders, c.Raw)
	}
	return ders
}

// halfLife is when the credentials are to be renewed: when half of the shorter life is over.
func (c *credentials) halfLife() time.Time {
	return earlier(half(c.own.Leaf), half(c.authority.Certificate()))
}

// end is when the first of the certificates ends.
func (c *credentials) end() time.Time {
	return earlier(c.own.Leaf.NotAfter, c.authority.Certificate().NotAfter)
}

func half(c *x509.Certificate) time.Time { return c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 2) }

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

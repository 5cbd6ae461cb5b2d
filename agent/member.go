package agent

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"sync/atomic"

	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// Roles of a machine, as tokens give them.
const (
	RoleWorkload = "workload"
	RoleGateway  = "gateway"
)

// credentials are who the machine is, as identity.json holds them.
type credentials struct {
	// Token is the name of the token that admitted the machine.
	Token string `json:"token"`
	// Instance tells this machine from others of the same service.
	Instance string `json:"instance"`

	ID        string `json:"id"`
	Zone      string `json:"zone"`
	Workspace string `json:"workspace"`
	Service   string `json:"service"`
	Role      string `json:"role"`

	// Key, Certificates (leaf first) and Roots are PEM.
	Key          string `json:"key"`
	Certificates string `json:"certificates"`
	Roots        string `json:"roots"`

	key   crypto.Signer
	tls   *tls.Certificate
	chain []*x509.Certificate
	roots []*x509.Certificate
}

func newInstance() string {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	return hex.EncodeToString(raw)
}

// with returns the credentials with a new key and an edge's answer to it.
func (c credentials) with(key []byte, answer *machinepb.JoinResponse) (*credentials, error) {
	certificates, err := identity.ParseCertificates(answer.Certificates)
	if err != nil {
		return nil, err
	}
	roots, err := identity.ParseCertificates(answer.Roots)
	if err != nil {
		return nil, err
	}
	if len(certificates) == 0 || len(roots) == 0 {
		return nil, errors.New("the edge sent no certificate or no root")
	}
	c.ID, c.Zone, c.Workspace, c.Service, c.Role = answer.SpiffeId, answer.Zone, answer.Workspace, answer.Service, answer.Role
	c.Key, c.Certificates, c.Roots = string(key), string(identity.EncodeCertificates(certificates)), string(identity.EncodeCertificates(roots))
	return c.parsed()
}

// parsed reads the PEM texts.
func (c credentials) parsed() (*credentials, error) {
	key, err := identity.DecodeKey([]byte(c.Key))
	if err != nil {
		return nil, err
	}
	c.key = key
	if c.chain, err = identity.DecodeCertificates([]byte(c.Certificates)); err != nil {
		return nil, err
	}
	if c.roots, err = identity.DecodeCertificates([]byte(c.Roots)); err != nil {
		return nil, err
	}
	var ders [][]byte
	for _, certificate := range c.chain {
		ders = append(ders, certificate.Raw)
	}
	if c.tls, err = identity.Chain(key, ders); err != nil {
		return nil, err
	}
	if own, ok := c.tls.Leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); ok && !own.Equal(key.Public()) {
		return nil, errors.New("key and certificate do not belong together")
	}
	return &c, nil
}

// loadCredentials reads identity.json; nil without an error when there is none.
func loadCredentials(path string) (*credentials, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var c credentials
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, err
	}
	return c.parsed()
}

// holder gives the credentials of the moment to TLS; it is an [identity.Source].
type holder struct{ now atomic.Pointer[credentials] }

func (h *holder) Certificate() *tls.Certificate { return h.now.Load().tls }
func (h *holder) Roots() []*x509.Certificate    { return h.now.Load().roots }

// membership is what the zone's edges said last, as member.json holds it. With it, a machine starts
// Envoy while no edge answers.
type membership struct {
	Workload string   `json:"workload"`
	NodeID   string   `json:"nodeID"`
	Edges    []string `json:"edges"`
	// Federated are other trust domains whose identities are accepted, by name: their roots, DER.
	Federated map[string][][]byte `json:"federatedRoots,omitempty"`
}

// loadMembership reads member.json; the zero value if there is none or it is unreadable, for an edge
// says it all again.
func loadMembership(path string) membership {
	var m membership
	if text, err := os.ReadFile(path); err != nil || json.Unmarshal(text, &m) != nil {
		return membership{}
	}
	return m
}

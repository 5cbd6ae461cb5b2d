package identity

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"strings"
)

// ID is a SPIFFE identity, for instance spiffe://isthmus.local/ns/shop/sa/reviews. The zero value
// is nobody.
type ID struct {
	// TrustDomain is the authority part.
	TrustDomain string
	// Path begins with a slash.
	Path string
}

// Workload is the identity of a service's workloads, in the form Istio's policies expect.
func Workload(trustDomain, workspace, service string) ID {
	return ID{trustDomain, "/ns/" + workspace + "/sa/" + service}
}

// Edge is the identity of one edge of a zone.
func Edge(trustDomain, zone, name string) ID {
	return ID{trustDomain, "/zone/" + zone + "/edge/" + name}
}

// Hub is the identity of every hub replica.
func Hub(trustDomain string) ID { return ID{trustDomain, "/hub"} }

// ParseID reads a SPIFFE identity. It refuses other schemes, queries, fragments, ports and empty
// or relative path segments, as the SPIFFE-ID standard asks.
func ParseID(text string) (ID, error) {
	u, err := url.Parse(text)
	if err != nil {
		return ID{}, fmt.Errorf("spiffe id %q: %w", text, err)
	}
	id := ID{u.Host, u.Path}
	switch {
	case u.Scheme != "spiffe" || u.Host == "" || u.Port() != "" || u.User != nil:
		return ID{}, fmt.Errorf("spiffe id %q: want spiffe://TRUST-DOMAIN/PATH", text)
	case u.RawQuery != "" || u.Fragment != "" || u.RawPath != "" || !wellFormed(u.Path):
		return ID{}, fmt.Errorf("spiffe id %q: bad path", text)
	}
	return id, nil
}

// String is the URI.
func (id ID) String() string { return "spiffe://" + id.TrustDomain + id.Path }

// URI is the identity as a URL value.
func (id ID) URI() *url.URL { return &url.URL{Scheme: "spiffe", Host: id.TrustDomain, Path: id.Path} }

// AsWorkload takes a workload's identity apart; ok is false for any other.
func (id ID) AsWorkload() (workspace, service string, ok bool) {
	return id.pair("ns", "sa")
}

// AsEdge takes an edge's identity apart; ok is false for any other.
func (id ID) AsEdge() (zone, name string, ok bool) {
	return id.pair("zone", "edge")
}

// IsHub tells whether the identity is the hub's.
func (id ID) IsHub() bool { return id.Path == "/hub" }

func (id ID) pair(first, second string) (string, string, bool) {
	p := strings.Split(id.Path, "/")
	if len(p) != 5 || p[0] != "" || p[1] != first || p[3] != second || p[2] == "" || p[4] == "" {
		return "", "", false
	}
	return p[2], p[4], true
}

// OfCertificate returns the identity a certificate proves. It refuses certificates without exactly
// one URI name, and authorities.
func OfCertificate(c *x509.Certificate) (ID, error) {
	if c.IsCA {
		return ID{}, fmt.Errorf("certificate %s: an authority is nobody's identity", c.SerialNumber)
	}
	if len(c.URIs) != 1 {
		return ID{}, fmt.Errorf("certificate %s: %d URI names, want one", c.SerialNumber, len(c.URIs))
	}
	return ParseID(c.URIs[0].String())
}

func wellFormed(path string) bool {
	if !strings.HasPrefix(path, "/") {
		return false
	}
	for _, s := range strings.Split(path[1:], "/") {
		if s == "" || s == "." || s == ".." {
			return false
		}
	}
	return true
}

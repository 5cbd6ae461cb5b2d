package agent

import (
	"encoding/pem"
	"maps"
	"slices"

	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// trust is the mesh's trust domain, which the machine's identity is of.
func (c *credentials) trust() identity.TrustDomain {
	id, _ := identity.ParseID(c.ID) // empty if it is none: then Envoy trusts nobody
	return identity.TrustDomain{Name: id.TrustDomain, Roots: c.roots}
}

// federated are the trust domains that an edge names, as member.json holds them.
func federated(domains []*machinepb.TrustDomain) map[string]string {
	byName := make(map[string]string, len(domains))
	for _, d := range domains {
		var text []byte
		for _, der := range d.Roots {
			text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
		}
		byName[d.Name] = string(text)
	}
	return byName
}

// federate has Envoy accept identities of other trust domains, and of no more than these. One whose roots cannot be
// read is left out.
func (a *agent) federate(byName map[string]string) {
	var domains []identity.TrustDomain
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		roots, err := identity.DecodeCertificates([]byte(byName[name]))
		if err != nil {
			a.config.Log.Error("a federated trust domain is not trusted", "domain", name, "err", err)
			continue
		}
		domains = append(domains, identity.TrustDomain{Name: name, Roots: roots})
	}
	a.secrets.Federate(domains)
}

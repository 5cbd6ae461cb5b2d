package agent

import (
	"log/slog"
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
func federated(domains []*machinepb.TrustDomain) map[string][][]byte {
	byName := make(map[string][][]byte, len(domains))
	for _, d := range domains {
		byName[d.Name] = d.Roots
	}
	return byName
}

// federate has Envoy accept identities of other trust domains, and of no more than these.
func (a *agent) federate(byName map[string][][]byte) {
	a.secrets.Federate(readable(byName, a.config.Log))
}

// readable are the trust domains whose roots can be read, by name.
func readable(byName map[string][][]byte, log *slog.Logger) (domains []identity.TrustDomain) {
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		roots, err := identity.ParseCertificates(byName[name])
		if err != nil || len(roots) == 0 { // Envoy would refuse a trust domain without roots, and all others with it
			log.Error("a federated trust domain is not trusted", "domain", name, "roots", len(roots), "err", err)
			continue
		}
		domains = append(domains, identity.TrustDomain{Name: name, Roots: roots})
	}
	return domains
}

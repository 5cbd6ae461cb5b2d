package compiler

import (
	"reflect"
	"slices"
	"strings"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
)

// A cluster that keeps a root of its own is trusted for one trust domain, which nobody else vouches for
// (docs/adr/0014-federated-clusters.md). Whoever shares a workspace with it hears of its roots, and nobody else.

// trustDomain is one that is not the mesh's, and the roots that vouch for it, DER.
type trustDomain struct {
	name  string
	roots [][]byte
}

// message is the trust domain as edges hear of it; nil for the mesh's.
func (d *trustDomain) message() *feedpb.TrustDomain {
	if d == nil {
		return nil
	}
	return &feedpb.TrustDomain{Name: d.name, Roots: d.roots}
}

// trusts are the trust domains of all zones, where some have others than the mesh's.
type trusts struct {
	mesh   string
	byZone map[string]*trustDomain
}

// of is the trust domain of a zone; nil for the mesh's.
func (t *trusts) of(zone string) *trustDomain {
	if t == nil {
		return nil
	}
	return t.byZone[zone]
}

// name is the name of a zone's trust domain; empty while all zones have the mesh's.
func (t *trusts) name(zone string) string {
	if domain := t.of(zone); domain != nil {
		return domain.name
	}
	if t == nil {
		return ""
	}
	return t.mesh
}

// trustOf is what unitTrust came to; nil while every zone has the mesh's.
func trustOf(w *work) *trusts { return value[*trusts](w, key{unit: unitTrust}) }

// trustAll computes unitTrust for a mesh. Of zones that want one domain with different roots the oldest has it.
func trustAll(mesh string) func(*work) any {
	return func(w *work) any {
		var zones []*v1alpha1.Zone
		for m := range w.members() {
			zones = append(zones, m.(*v1alpha1.Zone))
		}
		slices.SortFunc(zones, func(a, b *v1alpha1.Zone) int { return older(a, b) })
		accepted, holders := map[string]*trustDomain{}, map[string]string{}
		for _, zone := range zones {
			domain, err := trustOfZone(zone)
			if err == nil {
				err = contested(domain, mesh, holders[domain.name], accepted)
			}
			if err != nil {
				w.report(kindZone, "", zone.Name, against(v1alpha1.ConditionAccepted, err))
				continue
			}
			accepted[zone.Name], holders[domain.name] = domain, zone.Name
		}
		if len(accepted) == 0 {
			return nil
		}
		return &trusts{mesh, accepted}
	}
}

// trustOfZone reads spec.trust.
func trustOfZone(zone *v1alpha1.Zone) (*trustDomain, *problem.Error) {
	roots, err := identity.DecodeCertificates([]byte(zone.Spec.Trust.Roots))
	if err != nil {
		return nil, problem.Invalid.Because("spec.trust.roots: %v", err)
	}
	domain := &trustDomain{name: zone.Spec.Trust.Domain}
	for _, root := range roots {
		if !root.IsCA {
			return nil, problem.Invalid.Because("spec.trust.roots: certificate %s is no authority's", identity.Fingerprint(root))
		}
		domain.roots = append(domain.roots, root.Raw)
	}
	return domain, nil
}

// contested says who has a trust domain already. Zones of one root may share one.
func contested(domain *trustDomain, mesh, holder string, accepted map[string]*trustDomain) *problem.Error {
	switch {
	case domain.name == mesh:
		return problem.TrustDomainTaken.Because("spec.trust.domain: %s is the mesh's own", mesh)
	case holder != "" && !reflect.DeepEqual(accepted[holder], domain):
		return problem.TrustDomainTaken.Because("spec.trust.domain: zone %q is trusted for %s, with another root", holder, domain.name)
	}
	return nil
}

// federated are trust domains of other zones as edges hear of them, by name; several workspaces and zones may have sent
// the same.
func federated(all []*trustDomain) (out []*feedpb.TrustDomain) {
	slices.SortFunc(all, func(a, b *trustDomain) int { return strings.Compare(a.name, b.name) })
	for _, d := range all {
		if len(out) == 0 || out[len(out)-1].Name != d.name {
			out = append(out, d.message())
		}
	}
	return out
}

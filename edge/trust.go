package edge

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/isthmus-mesh/isthmus/edge/pilot"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// readableTrust says which trust domain's roots cannot be read.
func readableTrust(info *feedpb.ZoneInfo) error {
	for _, d := range append([]*feedpb.TrustDomain{info.Trust}, info.Federated...) {
		if _, err := identity.ParseCertificates(d.GetRoots()); err != nil {
			return fmt.Errorf("trust domain %s: %w", d.GetName(), err)
		}
	}
	return nil
}

// ownTrust is what a cluster is trusted for; nil is the mesh's trust domain.
func ownTrust(info *feedpb.ZoneInfo) *identity.TrustDomain {
	if info.Trust == nil {
		return nil
	}
	roots, err := identity.ParseCertificates(info.Trust.Roots)
	if err != nil {
		return nil // readableTrust has kept it out
	}
	return &identity.TrustDomain{Name: info.Trust.Name, Roots: roots}
}

// federated are the trust domains of other zones, as agents hear of them.
func (z *zone) federated() []*machinepb.TrustDomain {
	var all []*machinepb.TrustDomain
	for _, d := range z.facts.Load().Federated {
		all = append(all, &machinepb.TrustDomain{Name: d.Name, Roots: d.Roots})
	}
	return all
}

// announceTrust has agents hear when the trust domains of other zones are no longer what they were.
func (e *edge) announceTrust() func(*feedpb.ZoneInfo) {
	known := &feedpb.ZoneInfo{}
	return func(info *feedpb.ZoneInfo) {
		now := &feedpb.ZoneInfo{Federated: info.Federated}
		if !proto.Equal(now, known) {
			known = now
			e.roster.Announce()
		}
	}
}

// federate has proxies accept peers of the trust domains of other zones.
func (z *zone) federate(p *pilot.Pilot) {
	var names []string
	for _, d := range z.facts.Load().Federated {
		names = append(names, d.Name)
	}
	p.Federate(names)
}

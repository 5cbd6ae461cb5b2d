package inventory

import (
	"github.com/isthmus-mesh/isthmus/compiler"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// Requests of other zones go to the gateways that the edge of a cluster found. So these stay as they were heard of last,
// also when the edge is away for longer than it is remembered, and over restarts of the hub.

// entered are the gateways by which a zone is entered; nil for none.
func (z *zoneRecord) entered() *compiler.DiscoveredGateways {
	if z == nil {
		return nil
	}
	return z.gateways
}

// hearGateways takes those that a report of the cluster names, all of them. Without a cluster there are none.
func (z *zoneRecord) hearGateways(said *feedpb.Cluster) {
	z.gateways = nil
	if len(said.GetGateways()) == 0 {
		return
	}
	z.gateways = &compiler.DiscoveredGateways{}
	for _, g := range said.Gateways {
		z.gateways.Gateways = append(z.gateways.Gateways, compiler.DiscoveredGateway{
			Namespace: g.Namespace, Name: g.Name, Port: int32(g.Port), Selector: g.Selector, Addresses: g.Addresses,
		})
	}
}

// savedGateway is a [compiler.DiscoveredGateway] on disk.
type savedGateway struct {
	Namespace string            `json:"namespace"`
	Name      string            `json:"name"`
	Port      int32             `json:"port"`
	Selector  map[string]string `json:"selector,omitempty"`
	Addresses []string          `json:"addresses,omitempty"`
}

func (z *zoneRecord) savedGateways() (all []savedGateway) {
	if z.gateways == nil {
		return nil
	}
	for _, g := range z.gateways.Gateways {
		all = append(all, savedGateway(g))
	}
	return all
}

func (z *zoneRecord) restoreGateways(saved []savedGateway) {
	if len(saved) == 0 {
		return
	}
	z.gateways = &compiler.DiscoveredGateways{}
	for _, g := range saved {
		z.gateways.Gateways = append(z.gateways.Gateways, compiler.DiscoveredGateway(g))
	}
}

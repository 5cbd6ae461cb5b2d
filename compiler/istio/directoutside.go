package istio

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// ownCallers is whom a workspace tells what is outside of the mesh: its own workloads.
const ownCallers = "."

// OutsideHosts are the names that a ServiceEntry makes known to callers.
func (d *Direct) OutsideHosts() []string {
	if entry, is := d.spec.(*networking.ServiceEntry); is {
		return entry.Hosts
	}
	return nil
}

// OutsideAddresses are those by which they are recognised, with or without the length of a prefix.
func (d *Direct) OutsideAddresses() []string {
	if entry, is := d.spec.(*networking.ServiceEntry); is {
		return entry.Addresses
	}
	return nil
}

func outsideEscapes(entry *networking.ServiceEntry) string {
	for _, to := range entry.ExportTo {
		if to != ownCallers {
			return "spec.exportTo: " + to + " would tell callers of other workspaces; it may be left out, or \".\""
		}
	}
	return ""
}

// DirectOutside renders a ServiceEntry, or a DestinationRule about a host of one, as it was written, for callers of
// the workspace.
func DirectOutside(site *plan.Site, d *Direct) *feedpb.Resource {
	spec := proto.Clone(d.spec)
	switch spec := spec.(type) {
	case *networking.ServiceEntry:
		spec.ExportTo = []string{ownCallers}
	case *networking.DestinationRule:
		spec.ExportTo = []string{ownCallers}
	}
	return resource(d.origin.Kind, namespaceAt(site, d.origin.Namespace), d.origin.Name, spec, []plan.Origin{d.origin})
}

// RanksByLabels says where a DestinationRule ranks endpoints by labels; empty if it does not.
func (d *Direct) RanksByLabels() string {
	rule, is := d.spec.(*networking.DestinationRule)
	if !is {
		return ""
	}
	policies := map[string]*networking.TrafficPolicy{"spec.trafficPolicy": rule.TrafficPolicy}
	for i, subset := range rule.Subsets {
		policies[fmt.Sprintf("spec.subsets[%d].trafficPolicy", i)] = subset.TrafficPolicy
	}
	for _, field := range slices.Sorted(maps.Keys(policies)) {
		balancers := []*networking.LoadBalancerSettings{policies[field].GetLoadBalancer()}
		for _, port := range policies[field].GetPortLevelSettings() {
			balancers = append(balancers, port.LoadBalancer)
		}
		for _, b := range balancers {
			if len(b.GetLocalityLbSetting().GetFailoverPriority()) > 0 {
				return field
			}
		}
	}
	return ""
}

package istio

import (
	"slices"
	"strconv"

	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// NearEntries render a service under [plan.NearHost] for callers at a site: the gateways of the zones beyond in one
// entry, and the workloads of a zone of machines in another, because Istio takes workloads or endpoints in one. Both
// are one cluster to a proxy, so that health, ejection and retries act across zones.
func NearEntries(s *plan.Service, here *plan.Site, beyond []*plan.Site, address string) []*feedpb.Resource {
	host, namespace := plan.NearHost(s.Workspace, s.Name), namespaceAt(here, s.Workspace)
	origins := s.Origins[:len(s.Origins):len(s.Origins)]
	for _, there := range beyond {
		origins = append(origins, there.Origin)
	}
	gateways := nearEntry(s, here, beyond, address)
	across(gateways, beyond...)
	all := []*feedpb.Resource{resource(KindServiceEntry, namespace, host+".beyond", gateways, origins)}
	if s.Place(here.Zone) != nil {
		own := resource(KindServiceEntry, namespace, host, nearEntry(s, here, beyond, address), origins)
		all = append(all, marked(own, plan.LabelZoneWeight, strconv.Itoa(zoneWeight)))
	}
	return all
}

func nearEntry(s *plan.Service, here *plan.Site, beyond []*plan.Site, address string) *networking.ServiceEntry {
	entry := Service(s, address)
	entry.Hosts, entry.SubjectAltNames = []string{plan.NearHost(s.Workspace, s.Name)}, identities(s, here, beyond)
	if here.IsKubernetes() {
		entry.ExportTo = []string{plan.Any} // callers in the cluster's other namespaces
	}
	return entry
}

// identities are those of a service in all zones that callers at a site may end up in; none if one is not known.
func identities(s *plan.Service, here *plan.Site, beyond []*plan.Site) []string {
	var all []string
	for _, site := range append([]*plan.Site{here}, beyond...) {
		place := s.Place(site.Zone)
		if place == nil {
			continue
		}
		known := identitiesAt(s, place)
		if len(known) == 0 {
			return nil
		}
		all = append(all, known...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// identitiesAt are those of a service in one zone.
func identitiesAt(s *plan.Service, place *plan.Place) []string {
	if len(place.Identities) > 0 {
		return place.Identities
	}
	return s.Identities
}

// HereEntry renders a service under [plan.HereHost], for the gateways of a zone that it lives in.
func HereEntry(s *plan.Service, here *plan.Site, place *plan.Place, address string) *feedpb.Resource {
	return insideEntry(s, here, place, plan.HereHost(s.Workspace, s.Name), address)
}

// NearDestination renders how callers at a site reach a service wherever it is nearest.
func NearDestination(d *plan.Destination) *feedpb.Resource {
	s, host := d.Service, plan.NearHost(d.Service.Workspace, d.Service.Name)
	rule := &networking.DestinationRule{Host: host, TrafficPolicy: nearPolicy(s, d.Policy), ExportTo: []string{plan.Any}}
	origins := append(s.Origins[:len(s.Origins):len(s.Origins)], policyOrigins(d.Policy)...)
	return resource(KindDestinationRule, namespaceAt(d.Site, s.Workspace), host, rule, append(origins, d.Site.Origin))
}

// nearPolicy is that of the service, by nearness, and with the names that gateways know in handshakes: one for each
// port. Istio takes a retry budget for all ports only, so that of the first one is all there is.
func nearPolicy(s *plan.Service, p *plan.Policy) *networking.TrafficPolicy {
	if p == nil {
		p = &plan.Policy{}
	}
	policy := policyParts(s, p)
	policy.LoadBalancer.LocalityLbSetting = &networking.LocalityLoadBalancerSetting{
		Enabled: wrapperspb.Bool(true), FailoverPriority: p.Failover.Nearness(),
	}
	policy.Tls = askingGateways(s, s.Ports[0])
	for _, port := range s.Ports[1:] {
		policy.PortLevelSettings = append(policy.PortLevelSettings, &networking.TrafficPolicy_PortTrafficPolicy{
			Port:         &networking.PortSelector{Number: uint32(port.Number)},
			LoadBalancer: policy.LoadBalancer, ConnectionPool: policy.ConnectionPool, OutlierDetection: policy.OutlierDetection,
			Tls: askingGateways(s, port),
		})
	}
	return policy
}

// askingGateways is mutual TLS with a service through gateways, which lead on by server name: Istio's name for the
// cluster of [plan.HereHost].
func askingGateways(s *plan.Service, port plan.Port) *networking.ClientTLSSettings {
	return &networking.ClientTLSSettings{
		Mode: networking.ClientTLSSettings_ISTIO_MUTUAL,
		Sni:  "outbound_." + strconv.Itoa(int(port.Number)) + "_._." + plan.HereHost(s.Workspace, s.Name),
	}
}

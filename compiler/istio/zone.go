package istio

import (
	"maps"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// tlsMode is Istio's label that says that an endpoint speaks mutual TLS. A service account would say so
// too, but be accepted as an identity of its own.
const tlsMode = "security.istio.io/tlsMode"

// namespaceAt is where what is made for a workspace stands at a site.
func namespaceAt(site *plan.Site, workspace string) string {
	if site != nil && site.IsKubernetes() {
		return site.Namespace
	}
	return workspace
}

// ZoneEntry renders a service in the zone of there under its name in that zone, for callers at here: its
// workloads inside of the zone, the zone's gateways anywhere else.
func ZoneEntry(s *plan.Service, here, there *plan.Site, place *plan.Place, address string) *feedpb.Resource {
	host := plan.ZoneHost(s.Workspace, s.Name, there.Zone)
	if here.Zone == there.Zone {
		return insideEntry(s, here, place, host, address)
	}
	entry := Service(s, address)
	entry.Hosts, entry.SubjectAltNames = []string{host}, identitiesAt(s, place)
	across(entry, there)
	if here.IsKubernetes() {
		entry.ExportTo = []string{plan.Any} // callers in the cluster's other namespaces
	}
	return resource(KindServiceEntry, namespaceAt(here, s.Workspace), host, entry, append(s.Origins[:len(s.Origins):len(s.Origins)], there.Origin))
}

// insideEntry renders the zone's own workloads of a service under a name that gateways serve.
func insideEntry(s *plan.Service, here *plan.Site, place *plan.Place, host, address string) *feedpb.Resource {
	entry := Service(s, address)
	entry.Hosts, entry.SubjectAltNames = []string{host}, identitiesAt(s, place)
	entry.ExportTo = []string{plan.Any} // gateways may belong to other workspaces
	inside(entry, place)
	r := resource(KindServiceEntry, namespaceAt(here, s.Workspace), host, entry, append(s.Origins[:len(s.Origins):len(s.Origins)], here.Origin))
	if !here.IsKubernetes() {
		lastResort(r, s)
	}
	return r
}

// inside selects the zone's own workloads.
func inside(entry *networking.ServiceEntry, place *plan.Place) {
	if place.Selector == nil {
		return
	}
	entry.WorkloadSelector = &networking.WorkloadSelector{Labels: place.Selector}
	for _, port := range entry.Ports {
		if target := place.Targets[int32(port.Number)]; target != 0 {
			port.TargetPort = uint32(target)
		}
	}
}

// zoneWeight is what the gateways of a zone weigh together, so that zones share alike, however many gateways each has;
// and the workloads of the callers' own zone.
const zoneWeight = 100_000

// across makes the gateways of zones the endpoints.
func across(entry *networking.ServiceEntry, zones ...*plan.Site) {
	entry.WorkloadSelector = nil
	for _, there := range zones {
		for _, gateway := range there.Gateways {
			if plan.IsName(gateway.Host) {
				entry.Resolution = networking.ServiceEntry_DNS
			}
			entry.Endpoints = append(entry.Endpoints, gatewayEndpoint(entry, there, gateway))
		}
	}
	for _, port := range entry.Ports {
		port.TargetPort = 0
	}
}

func gatewayEndpoint(entry *networking.ServiceEntry, there *plan.Site, gateway plan.Endpoint) *networking.WorkloadEntry {
	endpoint := &networking.WorkloadEntry{
		Address: gateway.Host, Locality: there.Locality, Weight: uint32(max(1, zoneWeight/len(there.Gateways))),
		Labels: map[string]string{tlsMode: "istio", plan.LabelZone: there.Zone}, Ports: make(map[string]uint32, len(entry.Ports)),
	}
	for _, port := range entry.Ports {
		endpoint.Ports[port.Name] = uint32(gateway.Port)
	}
	return endpoint
}

// AbsentEntry renders the name that callers in a cluster use for a service which has no workload there.
// Routing leads its requests away; so it needs no endpoints of its own.
func AbsentEntry(s *plan.Service, here *plan.Site, address string) *feedpb.Resource {
	entry := Service(s, address)
	entry.Hosts, entry.WorkloadSelector = []string{here.LocalHost(s)}, nil
	entry.ExportTo = []string{plan.Any}
	return resource(KindServiceEntry, here.Namespace, s.Name, entry, s.Origins)
}

// ZoneDestination renders how callers at a site reach a service in one zone, or in a cluster under its
// usual name if Zone is empty. The labels of subsets hold where the workloads are; elsewhere the name of
// the subset alone travels.
func ZoneDestination(d *plan.Destination) *feedpb.Resource {
	s := d.Service
	host, name := plan.ZoneHost(s.Workspace, s.Name, d.Zone), plan.ZoneHost(s.Workspace, s.Name, d.Zone)
	if d.Zone == "" {
		host, name = d.Site.LocalHost(s), s.Name
	}
	rule := &networking.DestinationRule{Host: host, TrafficPolicy: trafficPolicy(s, d.Policy), ExportTo: []string{plan.Any}}
	origins := append(s.Origins[:len(s.Origins):len(s.Origins)], policyOrigins(d.Policy)...)
	for _, subset := range d.Subsets {
		rendered := &networking.Subset{Name: subsetName(subset.Subset.Name)}
		if d.Zone == "" || d.Zone == d.Site.Zone {
			rendered.Labels = siteLabels(d.Site, subset.Subset.Labels)
		}
		if subset.Policy != nil {
			rendered.TrafficPolicy = trafficPolicy(s, subset.Policy.Over(d.Policy))
		}
		rule.Subsets = append(rule.Subsets, rendered)
		origins = append(origins, policyOrigins(subset.Policy)...)
	}
	if d.Zone != "" {
		origins = append(origins, d.Site.Origin)
	}
	return resource(KindDestinationRule, namespaceAt(d.Site, s.Workspace), name, rule, origins)
}

// siteLabels are labels as workloads at the site carry them: pods have the version in a label that is
// usual in Kubernetes, and none of ours.
func siteLabels(site *plan.Site, labels map[string]string) map[string]string {
	if !site.IsKubernetes() {
		return labels
	}
	own := maps.Clone(labels)
	maps.DeleteFunc(own, func(name, _ string) bool { return strings.HasPrefix(name, "isthmus.dev/") })
	if version := labels[plan.LabelVersion]; version != "" {
		own["version"] = version
	}
	return own
}

// EastWestListener is [EastWest] for a listener of a gateway of machines.
func EastWestListener(workspace, gateway, zone string, l *plan.Listener) *feedpb.Resource {
	selector := map[string]string{plan.LabelGateway: gateway, plan.LabelWorkspace: workspace}
	return EastWest(zone, workspace, gatewayName(gateway, l.Name), selector, l.Port, l.Origin)
}

// EastWest renders the way into a zone: connections of other zones are led on by the name they ask for,
// without ending TLS, to services of this zone only.
func EastWest(zone string, namespace, name string, selector map[string]string, port int32, from plan.Origin) *feedpb.Resource {
	object := &networking.Gateway{
		Selector: selector,
		Servers: []*networking.Server{{
			Port:  &networking.Port{Number: uint32(port), Protocol: "TLS", Name: "tls-east-west"},
			Hosts: []string{"*/" + plan.ZoneHosts(zone), "*/" + plan.HereHosts},
			Tls:   &networking.ServerTLSSettings{Mode: networking.ServerTLSSettings_AUTO_PASSTHROUGH},
		}},
	}
	return resource(KindGateway, namespace, name, object, []plan.Origin{from})
}

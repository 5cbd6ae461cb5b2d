package plan

import "slices"

// Domain is the DNS domain of the mesh.
const Domain = "mesh"

// Labels that edges set on every workload, and that selectors of the plan use.
const (
	LabelWorkspace = "isthmus.dev/workspace"
	LabelService   = "isthmus.dev/service"
	LabelVersion   = "isthmus.dev/version"
	LabelZone      = "isthmus.dev/zone"
	// LabelRegion is Kubernetes' own, which Istio gives endpoints and proxies by their locality.
	LabelRegion = "topology.kubernetes.io/region"
	// LabelGateway is on the proxies of a gateway only: its name.
	LabelGateway = "isthmus.dev/gateway"
	// LabelLastResort marks ServiceEntries whose workloads are called though all are ill: other zones take over soon,
	// and until then they are the only ones.
	LabelLastResort = "isthmus.dev/last-resort"
	// LabelZoneWeight is on ServiceEntries whose workloads share requests with other zones: what all of them weigh
	// together at a port.
	LabelZoneWeight = "isthmus.dev/zone-weight"
)

// zoneDomain holds the names of services in single zones. No workspace can be named so that its services
// have names in it.
const zoneDomain = "zone." + Domain

// ZoneHost is the name of a service in one zone, the same in all zones: what a zone's gateway is asked for.
func ZoneHost(workspace, name, zone string) string {
	return name + "." + workspace + "." + zone + "." + zoneDomain
}

// ZoneHosts matches the names of all services in one zone.
func ZoneHosts(zone string) string { return "*." + zone + "." + zoneDomain }

// nearDomain holds the names of services wherever they are nearest: no other name has as many labels in it.
const nearDomain = "near." + Domain

// NearHost is the name of a service wherever it is nearest. What it leads to differs from zone to zone: the zone's own
// workloads, and when they fail the gateways of other zones. Gateways do not serve it.
func NearHost(workspace, name string) string { return name + "." + workspace + "." + nearDomain }

// HereDomain holds the names by which zones ask each other's gateways. It lies outside of [Domain], so that none of a
// workspace's names is in it.
const HereDomain = "zone.internal"

// HereHost is the name of a service in the zone whose gateway is asked: it leads to the zone's own workloads and nothing
// else, in every zone.
func HereHost(workspace, name string) string { return name + "." + workspace + "." + HereDomain }

// HereHosts matches the names of all services in the zone whose gateway is asked.
const HereHosts = "*." + HereDomain

// Reserved says whether a hostname lies where the names above do, of which nobody may give one to a service.
func Reserved(hostname string) bool {
	return slices.ContainsFunc([]string{zoneDomain, nearDomain, HereDomain}, func(domain string) bool { return Covers("*."+domain, hostname) })
}

// Host is the full name of a service inside the mesh.
func Host(workspace, name string) string { return name + "." + workspace + "." + Domain }

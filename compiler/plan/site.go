package plan

import (
	"slices"
	"strconv"
	"strings"
)

// Site is a zone as one workspace sees it.
type Site struct {
	Zone string
	// Namespace of the cluster that belongs to the workspace; empty in a zone of machines.
	Namespace string
	// Gateways are the zone's east-west gateways: the way in from other zones. None means that its
	// services are reached from inside only.
	Gateways []Endpoint
	// Locality is "REGION/ZONE".
	Locality string
	Origin   Origin
}

// Endpoint is where a gateway listens.
type Endpoint struct {
	Host string
	Port int32
}

// String is the endpoint as "HOST:PORT", IPv6 in brackets.
func (e Endpoint) String() string {
	host := e.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(e.Port))
}

// IsKubernetes says whether the zone is a cluster.
func (s *Site) IsKubernetes() bool { return s.Namespace != "" }

// Region is where the zone lies; zones without one are regions of their own.
func (s *Site) Region() string {
	region, _, _ := strings.Cut(s.Locality, "/")
	return region
}

// HasNamedGateway says whether a gateway into the zone is known by a name, which somebody has to look up.
func (s *Site) HasNamedGateway() bool {
	return slices.ContainsFunc(s.Gateways, func(gateway Endpoint) bool { return IsName(gateway.Host) })
}

// label is what endpoints of the zone have in a label of [Failover.Nearness].
func (s *Site) label(name string) string {
	if name == LabelRegion {
		return s.Region()
	}
	return s.Zone
}

// LocalHost is the name by which callers in the zone call a service of the workspace.
func (s *Site) LocalHost(service *Service) string {
	if s.IsKubernetes() {
		return service.Name + "." + s.Namespace + ".svc.cluster.local"
	}
	return service.Host()
}

// Place is what is known of a service in one zone.
type Place struct {
	Zone string
	// Alive is whether a workload there is healthy.
	Alive bool
	// Versions seen there.
	Versions []string
	// Identities that its workloads prove.
	Identities []string
	// Selector by which the cluster picks its pods; nil on machines.
	Selector map[string]string
	// Targets are the pods' ports by port of the service, where they differ.
	Targets map[int32]int32
}

// HasVersion says whether workloads of the version were seen there.
func (p *Place) HasVersion(version string) bool { return slices.Contains(p.Versions, version) }

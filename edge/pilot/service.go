package pilot

import (
	"net/netip"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/serviceregistry/provider"
	"istio.io/istio/pilot/pkg/serviceregistry/util/label"
	"istio.io/istio/pkg/cluster"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/constants"
	"istio.io/istio/pkg/config/host"
	"istio.io/istio/pkg/config/protocol"
	"istio.io/istio/pkg/config/visibility"
	"istio.io/istio/pkg/network"
	"istio.io/istio/pkg/util/sets"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/identity"
)

var resolutions = map[networking.ServiceEntry_Resolution]model.Resolution{
	networking.ServiceEntry_NONE:            model.Passthrough,
	networking.ServiceEntry_STATIC:          model.ClientSideLB,
	networking.ServiceEntry_DNS:             model.DNSLB,
	networking.ServiceEntry_DNS_ROUND_ROBIN: model.DNSRoundRobinLB,
	networking.ServiceEntry_DYNAMIC_DNS:     model.DynamicDNS,
}

// service is one host of a ServiceEntry, as Istio wants it, and what its endpoints are made of.
type service struct {
	*model.Service
	object key
	entry  *networking.ServiceEntry
}

// place is where the zone is, for endpoints and nodes.
type place struct {
	zone, network, region, locality, trustDomain string
}

func (p place) label() string { return p.region + "/" + p.locality }

// servicesOf makes the services of a ServiceEntry, one per host.
func (p place) servicesOf(c *config.Config) []*service {
	entry := c.Spec.(*networking.ServiceEntry)
	var out []*service
	for _, name := range entry.Hosts {
		s := &model.Service{
			Hostname: host.Name(name), Ports: portsOf(entry), Resolution: resolutions[entry.Resolution],
			MeshExternal:    entry.Location == networking.ServiceEntry_MESH_EXTERNAL,
			ServiceAccounts: p.accountsOf(c.Namespace, entry), DefaultAddress: constants.UnspecifiedIP,
			ResourceVersion: c.ResourceVersion,
			Attributes: model.ServiceAttributes{
				ServiceRegistry: provider.External, Name: name, Namespace: c.Namespace, Labels: c.Labels,
				ExportTo: exportTo(entry), LabelSelectors: entry.GetWorkloadSelector().GetLabels(),
				Aliases: aliases(name, c.Namespace), PassthroughTargetPorts: passthroughPorts(entry),
				K8sAttributes: model.K8sAttributes{ObjectName: c.Name},
			},
		}
		p.setAddresses(s, entry.Addresses)
		out = append(out, &service{s, key{c.Namespace, c.Name}, entry})
	}
	return out
}

func portsOf(entry *networking.ServiceEntry) model.PortList {
	ports := make(model.PortList, 0, len(entry.Ports))
	for _, p := range entry.Ports {
		ports = append(ports, &model.Port{Name: p.Name, Port: int(p.Number), Protocol: protocol.Parse(p.Protocol)})
	}
	return ports
}

// passthroughPorts are the target ports of a service whose address the caller chooses.
func passthroughPorts(entry *networking.ServiceEntry) map[uint32]uint32 {
	if entry.Resolution != networking.ServiceEntry_NONE {
		return nil
	}
	out := map[uint32]uint32{}
	for _, p := range entry.Ports {
		if p.TargetPort != 0 {
			out[p.Number] = p.TargetPort
		}
	}
	return out
}

// accountsOf are the identities that callers accept from the service. Those of a service that selects its
// workloads by service are known beforehand: the first endpoint then changes endpoints only.
func (p place) accountsOf(namespace string, entry *networking.ServiceEntry) []string {
	accounts := entry.SubjectAltNames
	if name := entry.GetWorkloadSelector().GetLabels()[plan.LabelService]; name != "" {
		accounts = append(accounts[:len(accounts):len(accounts)], identity.Workload(p.trustDomain, namespace, name).String())
	}
	return accounts
}

func exportTo(entry *networking.ServiceEntry) sets.Set[visibility.Instance] {
	if len(entry.ExportTo) == 0 {
		return nil
	}
	out := sets.New[visibility.Instance]()
	for _, e := range entry.ExportTo {
		out.Insert(visibility.Instance(e))
	}
	return out
}

// aliases makes "reviews.shop" a name of "reviews.shop.mesh"; "reviews" alone is made by Istio, inside the
// workspace, from the node's domain.
func aliases(name, namespace string) []model.NamespacedHostname {
	short, ok := strings.CutSuffix(name, "."+namespace+"."+Domain)
	if !ok || strings.Contains(short, "*") {
		return nil
	}
	return []model.NamespacedHostname{{Hostname: host.Name(short + "." + namespace), Namespace: namespace}}
}

func (p place) setAddresses(s *model.Service, addresses []string) {
	var ips []string
	for _, a := range addresses {
		if prefix, err := netip.ParsePrefix(a); err == nil && prefix.IsSingleIP() {
			a = prefix.Addr().String()
		}
		ips = append(ips, a)
	}
	if len(ips) == 0 {
		return
	}
	s.DefaultAddress = ips[0]
	s.ClusterVIPs = model.AddressMap{Addresses: map[cluster.ID][]string{cluster.ID(p.zone): ips}}
}

// staticEndpoints are those the ServiceEntry itself lists: other zones' gateways, external hosts.
func (p place) staticEndpoints(s *service) []*model.IstioEndpoint {
	var out []*model.IstioEndpoint
	for _, e := range s.entry.Endpoints {
		for _, port := range s.entry.Ports {
			out = append(out, p.staticEndpoint(s, e, port))
		}
	}
	dns := s.Resolution == model.DNSLB || s.Resolution == model.DNSRoundRobinLB
	if len(out) > 0 || !dns || s.entry.WorkloadSelector != nil {
		return out
	}
	for _, port := range s.entry.Ports { // the host itself is what is looked up
		out = append(out, p.staticEndpoint(s, &networking.WorkloadEntry{Address: string(s.Hostname)}, port))
	}
	return out
}

func (p place) staticEndpoint(s *service, e *networking.WorkloadEntry, port *networking.ServicePort) *model.IstioEndpoint {
	mode, account := model.DisabledTLSModeLabel, ""
	if e.ServiceAccount != "" {
		mode = model.IstioMutualTLSModeLabel
		account = identity.Workload(p.trustDomain, s.object.namespace, e.ServiceAccount).String()
	}
	if set := e.Labels["security.istio.io/tlsMode"]; set != "" {
		mode = set
	}
	target := targetPort(port)
	if n := e.Ports[port.Name]; n != 0 {
		target = n
	}
	id := cluster.ID(p.zone)
	return &model.IstioEndpoint{
		Addresses: []string{e.Address}, EndpointPort: target,
		ServicePortName: port.Name, LegacyClusterPortKey: int(port.Number),
		Network: network.ID(e.Network), Locality: model.Locality{Label: e.Locality, ClusterID: id},
		Labels: label.AugmentLabels(e.Labels, id, e.Locality, "", network.ID(e.Network)), LbWeight: e.Weight,
		TLSMode: mode, ServiceAccount: account, Namespace: s.object.namespace, WorkloadName: s.object.name,
	}
}

func targetPort(p *networking.ServicePort) uint32 {
	if p.TargetPort != 0 {
		return p.TargetPort
	}
	return p.Number
}

package compiler

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/identity"
)

// services gives the function of unitService: a service that is declared, discovered or both.
func services(trustDomain string) func(*work) any {
	return func(w *work) any { return service(w, trustDomain) }
}

func service(w *work, trustDomain string) any {
	var parts serviceParts
	for m := range w.members() {
		parts.add(m)
	}
	s := parts.build(w)
	if s == nil {
		return nil
	}
	if parts.declared == nil || len(parts.declared.Spec.Selector) == 0 {
		s.Identities = []string{identity.Workload(trustDomain, s.Workspace, s.Name).String()}
	}
	k := key{namespace: s.Workspace, name: s.Name}
	for _, k.unit = range []unit{unitEntry, unitDestination} {
		w.send(k, s)
	}
	w.send(meshHostKey(s, s.Workspace), s)
	for _, host := range append([]string{s.Host()}, s.Aliases...) {
		w.send(slotKey(host), host)
	}
	sendSiteSlots(w, s)
	return s
}

// sendSiteSlots asks for addresses of the further names that the service has for other zones.
func sendSiteSlots(w *work, s *plan.Service) {
	all := value[sites](w, sitesKey(s.Workspace))
	var hosts []string
	for _, there := range crossed(all, s) {
		hosts = append(hosts, plan.ZoneHost(s.Workspace, s.Name, there.Zone))
	}
	if hosts != nil {
		hosts = append(hosts, plan.NearHost(s.Workspace, s.Name), plan.HereHost(s.Workspace, s.Name))
	}
	for _, host := range hosts {
		w.send(slotKey(host), host)
	}
	for i := range all {
		if absent(&all[i], s) {
			w.send(slotKey(all[i].LocalHost(s)), all[i].LocalHost(s))
		}
	}
}

// serviceParts is what is known about one service.
type serviceParts struct {
	declared   *v1alpha1.Service
	discovered *Discovered
	subsets    []*v1alpha1.Subset
}

func (p *serviceParts) add(m any) {
	switch m := m.(type) {
	case *v1alpha1.Service:
		p.declared = m
	case *Discovered:
		p.discovered = m
	case *v1alpha1.Subset:
		p.subsets = append(p.subsets, m)
	}
}

// build makes the service, or reports why there is none and returns nil.
func (p *serviceParts) build(w *work) *plan.Service {
	namespace, name := w.node.key.namespace, w.node.key.name
	ws := value[*workspace](w, workspaceKey(namespace))
	if ws != nil {
		p.discovered = p.discovered.managed(ws.observed)
	}
	switch {
	case ws == nil:
		p.refuse(w, problem.NoWorkspace.Because("there is no Workspace %q", namespace))
		return nil
	case p.declared == nil && p.discovered == nil:
		for _, subset := range p.subsets {
			w.report(kindSubset, namespace, subset.Name, against(v1alpha1.ConditionResolvedRefs,
				problem.BackendNotFound.Because("spec.service: there is no service %q in the workspace", name)))
		}
		return nil
	case len(validation.IsDNS1123Label(name)) > 0:
		p.refuse(w, problem.Invalid.Because("the name of a service is one DNS label, which %q is not", name))
		return nil
	}
	s := plan.NewService(namespace, name, p.ports(w))
	p.refine(w, s)
	p.discover(s)
	p.addSubsets(w, s)
	if len(s.Ports) == 0 {
		return nil
	}
	return s
}

// refuse reports one problem on every object that makes the service.
func (p *serviceParts) refuse(w *work, err *problem.Error) {
	f := against(v1alpha1.ConditionAccepted, err)
	k := w.node.key
	if p.declared != nil {
		w.report(kindService, k.namespace, k.name, f)
	}
	if p.discovered != nil {
		w.report(KindDiscovered, k.namespace, k.name, f)
	}
	for _, subset := range p.subsets {
		w.report(kindSubset, k.namespace, subset.Name, f)
	}
}

// ports merges what workloads serve with what is declared; a declared port wins.
func (p *serviceParts) ports(w *work) []plan.Port {
	ports := make(map[int32]plan.Port)
	if p.declared != nil {
		for _, port := range p.declared.Spec.Ports {
			ports[port.Port] = plan.Port{Number: port.Port, Protocol: plan.Protocol(port.Protocol), Target: port.TargetPort}
		}
	}
	if p.discovered != nil {
		for _, port := range p.discovered.Ports {
			if _, declared := ports[port.Port]; !declared {
				ports[port.Port] = plan.Port{Number: port.Port, Protocol: plan.Protocol(port.Protocol)}
			}
		}
	}
	sorted := slices.SortedFunc(maps.Values(ports), func(a, b plan.Port) int { return int(a.Number - b.Number) })
	return slices.DeleteFunc(sorted, func(port plan.Port) bool { return !p.checkPort(w, port) })
}

// checkPort says whether a port can be used, and reports it otherwise.
func (p *serviceParts) checkPort(w *work, port plan.Port) bool {
	if port.Protocol.Known() {
		return true
	}
	err := problem.PortWithoutProtocol.Because("port %d has protocol %q and is left out", port.Number, port.Protocol)
	p.refuse(w, err)
	return false
}

// refine applies what the Service object says.
func (p *serviceParts) refine(w *work, s *plan.Service) {
	if p.declared == nil {
		return
	}
	spec := p.declared.Spec
	s.Origins = []plan.Origin{origin(p.declared, kindService, "")}
	s.Aliases = p.aliases(w)
	if len(spec.Selector) > 0 {
		s.Selector = spec.Selector
		p.checkSelector(w)
	}
	if spec.Exposure == v1alpha1.ExposeAll {
		s.Visible = []string{plan.Any}
	}
	if spec.External != nil {
		p.external(w, s)
	}
}

func (p *serviceParts) aliases(w *work) []string {
	var aliases []string
	me := object{p.declared.Namespace, p.declared.Name}
	for _, host := range p.declared.Spec.Hosts {
		switch {
		case len(validation.IsDNS1123Subdomain(host)) > 0:
			w.report(kindService, me.namespace, me.name, against(v1alpha1.ConditionAccepted,
				problem.Invalid.Because("spec.hosts: %q is no DNS name", host)))
		case plan.Reserved(host):
			w.report(kindService, me.namespace, me.name, against(v1alpha1.ConditionAccepted,
				problem.Invalid.Because("spec.hosts: names such as %q lead from zone to zone", host)))
		case value[object](w, aliasKey(p.declared, host)) == me && host != plan.Host(me.namespace, me.name):
			aliases = append(aliases, host)
		}
	}
	slices.Sort(aliases)
	return slices.Compact(aliases)
}

// checkSelector reports a selector that matches no workload of the workspace.
func (p *serviceParts) checkSelector(w *work) {
	namespace := w.node.key.namespace
	if !anyMatches(value[[]map[string]string](w, key{unit: unitPopulation, namespace: namespace}), p.declared.Spec.Selector) {
		w.report(kindService, namespace, p.declared.Name, against(v1alpha1.ConditionResolvedRefs,
			problem.SelectsNothing.Because("spec.selector matches no workload of workspace %q", namespace)))
	}
}

func (p *serviceParts) external(w *work, s *plan.Service) {
	if p.discovered != nil {
		w.report(kindService, s.Workspace, s.Name, against(v1alpha1.ConditionAccepted,
			problem.DuplicateService.Because("spec.external: workloads have joined as %q; they serve", s.Name)))
		return
	}
	s.External = slices.Sorted(slices.Values(p.declared.Spec.External.Hostnames))
	s.Selector = nil
}

func (p *serviceParts) discover(s *plan.Service) {
	if p.discovered == nil {
		return
	}
	s.Versions = slices.Sorted(slices.Values(p.discovered.Versions))
	s.Zones = slices.Sorted(slices.Values(p.discovered.Zones))
	for _, place := range p.discovered.Places {
		s.Places = append(s.Places, plan.Place{Zone: place.Zone, Alive: place.Alive, Versions: place.Versions,
			Identities: place.Identities, Selector: place.Selector, Targets: place.Targets})
	}
}

// addSubsets adds those that objects declare, and reports the ones that match nothing.
func (p *serviceParts) addSubsets(w *work, s *plan.Service) {
	for _, subset := range p.subsets {
		labels := maps.Clone(subset.Spec.Labels)
		if labels == nil {
			labels = make(map[string]string, 2)
		}
		if subset.Spec.Version != "" {
			labels[plan.LabelVersion] = subset.Spec.Version
		}
		if subset.Spec.Zone != "" {
			labels[plan.LabelZone] = subset.Spec.Zone
		}
		s.Subsets = append(s.Subsets, plan.Subset{Name: subset.Name, Labels: labels, Origin: origin(subset, kindSubset, "")})
		if s.External == nil && !p.populates(subset) {
			w.report(kindSubset, subset.Namespace, subset.Name, against(v1alpha1.ConditionResolvedRefs,
				problem.SelectsNothing.Because("no workload of service %q is of this subset", s.Name)))
		}
	}
	slices.SortFunc(s.Subsets, func(a, b plan.Subset) int { return strings.Compare(a.Name, b.Name) })
}

// populates says whether a subset has workloads, as far as the inventory tells.
func (p *serviceParts) populates(subset *v1alpha1.Subset) bool {
	d, spec := p.discovered, subset.Spec
	return d != nil &&
		(spec.Version == "" || slices.Contains(d.Versions, spec.Version)) &&
		(spec.Zone == "" || slices.Contains(d.Zones, spec.Zone)) &&
		(len(spec.Labels) == 0 || anyMatches(d.Labels, spec.Labels))
}

// anyMatches says whether one of the label sets holds all labels of a selector.
func anyMatches(sets []map[string]string, selector map[string]string) bool {
	return slices.ContainsFunc(sets, func(labels map[string]string) bool {
		for name, value := range selector {
			if labels[name] != value {
				return false
			}
		}
		return true
	})
}

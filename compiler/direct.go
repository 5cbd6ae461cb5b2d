package compiler

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/isthmus-mesh/isthmus/api/direct"
	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/istio"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// Objects that a team writes for Istio itself pass as they are, if they are valid and about nothing but their
// workspace (docs/adr/0010-direct-mode.md). One about the routing of a service, or about how it is reached, takes
// the place of what would be made of intent. Where intent says something for the same service, intent wins.

// directed is such an object at a service it is about.
type directed struct {
	object *direct.Object
	read   *istio.Direct
	// backends are the services it leads to, by the names it uses.
	backends map[string]*plan.Service
}

func (d *directed) same(other any) bool {
	o, is := other.(*directed)
	return is && d.object == o.object && reflect.DeepEqual(d.backends, o.backends)
}

// directObject computes unitDirect.
func directObject(w *work) any {
	for m := range w.members() {
		object := m.(*direct.Object)
		from := origin(object, w.node.key.kind, "")
		read, err := admitDirect(w, object, from)
		if err != nil {
			reportDirect(w, from, v1alpha1.ConditionAccepted, err)
			return nil
		}
		switch from.Kind {
		case direct.VirtualService, direct.DestinationRule:
			sendDirect(w, object, read)
		case direct.ServiceEntry:
			sendOutside(w, object, read)
		default:
			askForKeys(w, read)
			return directPassed(w, read, policyWithin(trustOf(w)))
		}
	}
	return nil
}

func reportDirect(w *work, from plan.Origin, condition string, err *problem.Error) {
	w.report(from.Kind, from.Namespace, from.Name, against(condition, err))
}

// admitDirect says whether an object is valid and stays within its workspace.
func admitDirect(w *work, object *direct.Object, from plan.Origin) (*istio.Direct, *problem.Error) {
	switch {
	case value[*workspace](w, workspaceKey(from.Namespace)) == nil:
		return nil, problem.NoWorkspace.Because("there is no Workspace %q", from.Namespace)
	case from.Namespace == istio.RootNamespace:
		return nil, problem.Unsupported.Because("objects in %s would hold for the whole mesh", istio.RootNamespace)
	}
	read, err := istio.ReadDirect(from, object.Spec.Raw)
	if err != nil {
		return nil, problem.Invalid.Because("Istio refuses it: %s", strings.Join(strings.Fields(err.Error()), " "))
	}
	if reason := read.Escapes(); reason != "" {
		return nil, problem.Unsupported.Because("%s", reason)
	}
	return read, nil
}

// sendDirect takes an object to the services it is about, if all it names are of its workspace.
func sendDirect(w *work, object *direct.Object, read *istio.Direct) {
	from := read.Origin()
	subjects, err := servicesNamed(w, from.Namespace, read.Hosts())
	if err != nil && from.Kind == direct.DestinationRule {
		w.send(outsideKey(from.Namespace, read.Hosts()[0]), outsider{object, read}) // which knows hosts outside of the mesh
		return
	}
	if err != nil {
		reportDirect(w, from, v1alpha1.ConditionAccepted, err)
		return
	}
	backends, err := servicesNamed(w, from.Namespace, read.Backends())
	if err != nil {
		reportDirect(w, from, v1alpha1.ConditionAccepted, err)
		return
	}
	d := &directed{object, read, backends}
	sent := map[*plan.Service]bool{}
	for _, host := range read.Hosts() {
		if s := subjects[host]; !sent[s] {
			sent[s] = true
			w.send(directKey(from.Kind, s), d)
		}
	}
}

// directKey is the unit that makes what such an object takes the place of.
func directKey(kind string, s *plan.Service) key {
	if kind == direct.DestinationRule {
		return key{unit: unitDestination, namespace: s.Workspace, name: s.Name}
	}
	return key{unit: unitMeshHost, namespace: s.Workspace, name: s.Name, part: s.Workspace}
}

// servicesNamed are the services of a workspace by the names that callers use.
func servicesNamed(w *work, workspace string, hosts []string) (map[string]*plan.Service, *problem.Error) {
	all := make(map[string]*plan.Service, len(hosts))
	for _, host := range hosts {
		s := serviceNamed(w, workspace, host)
		if s == nil {
			return nil, problem.HostNotOwned.Because("%q is no service of workspace %q", host, workspace)
		}
		all[host] = s
	}
	return all, nil
}

// serviceNamed finds a service of the workspace: by its short name, its full one, that in a cluster of the
// workspace, or a further host that belongs to it.
func serviceNamed(w *work, workspace, host string) *plan.Service {
	name, rest, _ := strings.Cut(host, ".")
	if rest == "" || rest == workspace || rest == workspace+"."+plan.Domain || inCluster(w, workspace, rest) {
		return value[*plan.Service](w, serviceKey(workspace, name))
	}
	for _, namespace := range []string{workspace, ""} {
		owner := value[object](w, key{unit: unitAlias, namespace: namespace, part: host})
		if owner.namespace == workspace {
			return value[*plan.Service](w, serviceKey(workspace, owner.name))
		}
	}
	return nil
}

// inCluster says whether a domain is that of the workspace in one of its clusters.
func inCluster(w *work, workspace, domain string) bool {
	return slices.ContainsFunc(value[sites](w, sitesKey(workspace)), func(site plan.Site) bool {
		return site.IsKubernetes() && (domain == site.Namespace || domain == site.Namespace+".svc" || domain == site.Namespace+".svc.cluster.local")
	})
}

// policyWithin renders what selects workloads, where callers without a trust domain are the zone's own.
func policyWithin(all *trusts) func(*plan.Site, *istio.Direct) *feedpb.Resource {
	return func(site *plan.Site, read *istio.Direct) *feedpb.Resource {
		zone := "" // any of machines
		if site != nil {
			zone = site.Zone
		}
		return istio.DirectPolicy(site, read, all.name(zone))
	}
}

// directPassed passes on an object that stays in its namespace, where there is nobody but the workspace.
func directPassed(w *work, read *istio.Direct, rendered func(*plan.Site, *istio.Direct) *feedpb.Resource) any {
	from := read.Origin()
	var b bundle
	b.add(render(w, from.Namespace, rendered(nil, read)))
	all := value[sites](w, sitesKey(from.Namespace))
	for i := range all {
		site := &all[i]
		switch {
		case !site.IsKubernetes():
		case site.Namespace == istio.RootNamespace:
			reportDirect(w, from, v1alpha1.ConditionAccepted, problem.Unsupported.Because(
				"in zone %q it would hold for the whole mesh and is left out: the workspace claims %s there", site.Zone, site.Namespace))
		default:
			b.add(renderFor(w, zoneReach(site.Zone), rendered(site, read)))
		}
	}
	return b.value()
}

// oldestDirect is the object among those sent to a unit that counts; the others hear of it, and so does it.
func oldestDirect(w *work) *directed {
	var all []*directed
	for m := range w.members() {
		if d, is := m.(*directed); is {
			all = append(all, d)
		}
	}
	if all == nil {
		return nil
	}
	slices.SortFunc(all, func(a, b *directed) int { return older(a.object, b.object) })
	for _, loser := range all[1:] {
		directLoses(w, loser, []plan.Origin{all[0].read.Origin()})
	}
	return all[0]
}

// directLoses tells an object that others speak for the service of this unit, and them of it.
func directLoses(w *work, loser *directed, winners []plan.Origin) {
	of, service := loser.read.Origin(), w.node.key.name
	for _, winner := range winners {
		reportDirect(w, of, conditionConflicted, problem.Overridden.Because(
			"service %q: %s %q wins over what is applied directly", service, winner.Kind, winner.Name))
		reportDirect(w, winner, conditionConflicted, problem.Overridden.Because(
			"service %q: this one wins over %s %q, which is applied directly", service, of.Kind, of.Name))
	}
}

// uncontested is the object that gives a service its routing; nil if there is none, or if intent does.
func uncontested(w *work, host *plan.VirtualHost) *directed {
	own := oldestDirect(w)
	if own == nil {
		return nil
	}
	winners := routesOf(host)
	if p := policyOf(w, kindService, host.Service.Workspace, host.Service.Name); p != nil {
		for _, part := range []string{"fault", "retries", "timeouts"} {
			if from, says := p.Origins[part]; says {
				winners = append(winners, from)
			}
		}
	}
	directLoses(w, own, winners)
	if len(winners) > 0 {
		return nil
	}
	return own
}

// uncontestedDestination is the object that says how a service is reached; nil if there is none, or if a
// policy or the subsets that routes use say it.
func uncontestedDestination(w *work, d *plan.Destination) *directed {
	own := oldestDirect(w)
	if own == nil {
		return nil
	}
	winners := policyOriginsOf(d.Policy)
	for _, subset := range d.Subsets {
		winners = append(winners, policyOriginsOf(subset.Policy)...)
		if subset.Subset.Origin.Kind != "" {
			winners = append(winners, subset.Subset.Origin)
		} else {
			reportDirect(w, own.read.Origin(), conditionConflicted, problem.Overridden.Because(
				"service %q: a route uses its subset %q and wins over what is applied directly", d.Service.Name, subset.Subset.Name))
		}
	}
	directLoses(w, own, winners)
	if len(winners) > 0 || len(d.Subsets) > 0 {
		return nil
	}
	return own
}

// policyOriginsOf are the policies that make one, in the order of their parts.
func policyOriginsOf(p *plan.Policy) []plan.Origin {
	if p == nil {
		return nil
	}
	var all []plan.Origin
	for _, part := range slices.Sorted(maps.Keys(p.Origins)) {
		all = append(all, p.Origins[part])
	}
	return all
}

// staysAt says whether all the services an object leads to live at a site. It knows no way to other zones: there
// the usual routing stays.
func staysAt(w *work, d *directed, s *plan.Service, site *plan.Site) bool {
	away := func(s *plan.Service) bool { return len(s.Places) > 0 && s.Place(site.Zone) == nil }
	for name, backend := range d.backends {
		if !away(backend) {
			continue
		}
		reportDirect(w, d.read.Origin(), v1alpha1.ConditionResolvedRefs, problem.Unsupported.Because(
			"%q does not live in zone %q, where the usual routing of service %q stays", name, site.Zone, s.Name))
		return false
	}
	return true
}

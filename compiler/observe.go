package compiler

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// What a workspace observes is seen and nothing else: its cluster is told whose the namespace is, so that the edge
// tells what runs there, but it is no site, and what runs there is taken out of services before anything is made of them.

// observe tells clusters which namespaces a workspace looks at, and returns their zones.
func observe(w *work, ws *v1alpha1.Workspace) []string {
	var named, zones []string
	for i, text := range ws.Spec.Observe {
		zone, namespace, _ := strings.Cut(text, "/")
		claim := namespaceClaim{ws.Name, cmp.Or(namespace, ws.Name), true}
		switch err := unobservable(w, ws, at("spec.observe", i), zone, named); {
		case err != nil:
			w.report(kindWorkspace, "", ws.Name, *err)
		case claim.wins(w, zone):
			zones = append(zones, zone)
			w.send(key{unit: unitZoneInfo, name: zone}, claim)
		}
		named = append(named, zone)
	}
	return zones
}

// unobservable says why an entry of spec.observe cannot be, after others that name zones.
func unobservable(w *work, ws *v1alpha1.Workspace, field, zone string, named []string) *finding {
	var f finding
	switch found := value[*v1alpha1.Zone](w, inputKey(kindZone, "", zone)); {
	case found == nil:
		f = against(v1alpha1.ConditionResolvedRefs, problem.RefNotFound.Because("%s names %s %q, which does not exist", field, kindZone, zone))
	case found.Spec.Type != v1alpha1.ZoneKubernetes:
		f = against(v1alpha1.ConditionAccepted,
			problem.Invalid.Because("%s: zone %q is one of machines, which is managed or not there; name it in spec.zones", field, zone))
	case ws.Spec.NamesZone(zone):
		f = against(v1alpha1.ConditionAccepted,
			problem.Invalid.Because("%s: zone %q is in spec.zones too, which counts; leave it in one of the two", field, zone))
	case slices.Contains(named, zone):
		f = against(v1alpha1.ConditionAccepted, problem.Unsupported.Because("%s: one namespace of zone %q belongs to the workspace already", field, zone))
	default:
		return nil
	}
	return &f
}

// managed is what remains of a service without the zones that its workspace only observes; nil if nothing does.
func (d *Discovered) managed(observed []string) *Discovered {
	isObserved := func(zone string) bool { return slices.Contains(observed, zone) }
	if d == nil || !slices.ContainsFunc(d.Zones, isObserved) {
		return d
	}
	rest := &Discovered{Workspace: d.Workspace, Name: d.Name, Zones: slices.DeleteFunc(slices.Clone(d.Zones), isObserved)}
	if len(rest.Zones) == 0 {
		return nil
	}
	rest.Labels = slices.DeleteFunc(slices.Clone(d.Labels), func(labels map[string]string) bool { return isObserved(labels[plan.LabelZone]) })
	ports := map[int32]string{}
	for _, place := range d.Places {
		if isObserved(place.Zone) {
			continue
		}
		rest.Places = append(rest.Places, place)
		rest.Versions = append(rest.Versions, place.Versions...)
		maps.Copy(ports, place.Ports)
	}
	slices.Sort(rest.Versions)
	rest.Versions = slices.Compact(rest.Versions)
	for _, port := range slices.Sorted(maps.Keys(ports)) {
		rest.Ports = append(rest.Ports, DiscoveredPort{Port: port, Protocol: ports[port]})
	}
	return rest
}

// lookedAt ends a message about a service that is not there, if that is because it is only observed.
func lookedAt(w *work, namespace, name string) string {
	d, ws := value[*Discovered](w, inputKey(KindDiscovered, namespace, name)), value[*workspace](w, workspaceKey(namespace))
	if d != nil && ws != nil && d.managed(ws.observed) == nil {
		return "; it runs where its Workspace only observes: move the entry from spec.observe to spec.zones"
	}
	return ""
}

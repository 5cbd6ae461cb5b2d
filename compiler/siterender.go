package compiler

import (
	"slices"

	"github.com/isthmus-mesh/isthmus/compiler/istio"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// siteEntries adds the further names that a service has, at each zone of its workspace.
func siteEntries(w *work, b *bundle, s *plan.Service) {
	all := value[sites](w, sitesKey(s.Workspace))
	for i := range all {
		here := &all[i]
		var resources []*feedpb.Resource
		for _, there := range crossed(all, s) {
			host := plan.ZoneHost(s.Workspace, s.Name, there.Zone)
			resources = append(resources, istio.ZoneEntry(s, here, there, s.Place(there.Zone), addressOf(w, host)))
			if here == there {
				resources = append(resources, istio.HereEntry(s, here, s.Place(here.Zone), addressOf(w, plan.HereHost(s.Workspace, s.Name))))
			}
		}
		if leaves(all, here, s) {
			resources = append(resources, istio.NearEntries(s, here, beyond(all, here, s), addressOf(w, plan.NearHost(s.Workspace, s.Name)))...)
		}
		if absent(here, s) {
			resources = append(resources, istio.AbsentEntry(s, here, addressOf(w, here.LocalHost(s))))
		}
		b.add(renderFor(w, zoneReach(here.Zone), resources...))
	}
}

// leaves says whether proxies at a site are left to choose where a service is nearest, by [plan.NearHost]. The hub
// chooses where they cannot: in a cluster in which the service has pods, because Istio takes a cluster's pods and other
// endpoints for one service only if the cluster's own Service does; and where a gateway is known by a name, because
// Istio fails on nearness by labels among endpoints that Envoy has to look up.
func leaves(all sites, here *plan.Site, s *plan.Service) bool {
	others := beyond(all, here, s)
	return len(others) > 0 && (!here.IsKubernetes() || absent(here, s)) && !slices.ContainsFunc(others, (*plan.Site).HasNamedGateway)
}

// beyond are the zones to which callers at a site may be led: the others that a service lives in. One without a healthy
// workload is left out, as long as there is another one.
func beyond(all sites, here *plan.Site, s *plan.Service) []*plan.Site {
	others := slices.DeleteFunc(crossed(all, s), func(there *plan.Site) bool { return there.Zone == here.Zone })
	alive := slices.DeleteFunc(slices.Clone(others), func(there *plan.Site) bool { return !s.Place(there.Zone).Alive })
	if len(alive) > 0 {
		return alive
	}
	return others
}

// crossed are the zones in which a service lives and can be reached from others.
func crossed(all sites, s *plan.Service) []*plan.Site {
	var out []*plan.Site
	for i := range s.Places {
		if site := all.find(s.Places[i].Zone); site != nil && len(site.Gateways) > 0 && len(all) > 1 {
			out = append(out, site)
		}
	}
	return out
}

// absent says whether a cluster has to be told of a service that lives elsewhere only.
func absent(here *plan.Site, s *plan.Service) bool {
	return here.IsKubernetes() && s.Place(here.Zone) == nil
}

// siteDestinations adds how callers in each zone reach the service in single zones. A cluster is told of
// its own services only where there is something to say: joining it changes nothing by itself.
func siteDestinations(w *work, b *bundle, d *plan.Destination, own *directed) {
	all := value[sites](w, sitesKey(d.Service.Workspace))
	within := subsetsWithin(d)
	for i := range all {
		here := &all[i]
		var resources []*feedpb.Resource
		add := func(zone string) {
			at := *d
			at.Site, at.Zone, at.Subsets = here, zone, within
			resources = append(resources, istio.ZoneDestination(&at))
		}
		for _, there := range crossed(all, d.Service) {
			if there != here || len(within) > 0 {
				add(there.Zone)
			}
		}
		if leaves(all, here, d.Service) {
			at := *d
			at.Site = here
			resources = append(resources, istio.NearDestination(&at))
		}
		if here.IsKubernetes() && !absent(here, d.Service) && (d.Policy != nil || len(within) > 0) {
			add("")
		}
		if own != nil && here.IsKubernetes() && !absent(here, d.Service) {
			resources = append(resources, istio.DirectDestination(d.Service, here, own.read))
		}
		b.add(renderFor(w, zoneReach(here.Zone), resources...))
	}
}

// subsetsWithin are the subsets that are not simply a whole zone.
func subsetsWithin(d *plan.Destination) []plan.SubsetDestination {
	return slices.DeleteFunc(slices.Clone(d.Subsets), func(subset plan.SubsetDestination) bool {
		_, rest := zoneOf(d.Service, subset.Subset.Name)
		return rest == ""
	})
}

// eastWest opens a gateway of machines to the other zones, in each zone for the services of that zone.
func eastWest(w *work, e *entrance) any {
	var b bundle
	all := value[sites](w, sitesKey(e.object.Namespace))
	for i := range all {
		if all[i].IsKubernetes() {
			continue // its gateways are the operator's own pods: see zoneInfo
		}
		var resources []*feedpb.Resource
		for _, l := range e.listeners {
			if l != nil {
				resources = append(resources, istio.EastWestListener(e.object.Namespace, e.object.Name, all[i].Zone, l))
			}
		}
		b.add(renderFor(w, zoneReach(all[i].Zone), resources...))
	}
	return b.value()
}

package compiler

import (
	"cmp"
	"slices"
	"strings"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// Parts of unitFleet.
const (
	// fleetMachines are the zones without Kubernetes.
	fleetMachines = "machines"
	// fleetBridged are the zones for which something is made that no other zone has: clusters, and
	// zones that others reach through gateways.
	fleetBridged = "bridged"
)

func isBridged(zone *v1alpha1.Zone) bool {
	return zone.Spec.Type == v1alpha1.ZoneKubernetes || zone.Spec.EastWest.IsOpen()
}

// sites are the zones of a workspace, sorted by name.
type sites []plan.Site

// sitesOf computes unitSites: nil while no zone of the workspace is bridged, which spares everything
// made from it.
func sitesOf(w *work) any {
	bridged := value[[]string](w, key{unit: unitFleet, part: fleetBridged})
	if len(bridged) == 0 {
		return nil
	}
	for m := range w.members() {
		ws := m.(*v1alpha1.Workspace)
		claims := claimsOf(w, ws)
		if !slices.ContainsFunc(claims, func(c zoneClaim) bool { return slices.Contains(bridged, c.zone) }) {
			return nil
		}
		return claimedSites(w, ws, claims)
	}
	return nil
}

// zoneClaim is "ZONE" or "ZONE/NAMESPACE".
type zoneClaim struct {
	zone, namespace string
	field           string
}

// claimsOf are the zones a workspace lives in. A cluster must be claimed by name: a workspace that
// says nothing lives in every zone of machines.
func claimsOf(w *work, ws *v1alpha1.Workspace) []zoneClaim {
	var claims []zoneClaim
	if len(ws.Spec.Zones) == 0 {
		for _, zone := range value[[]string](w, key{unit: unitFleet, part: fleetMachines}) {
			claims = append(claims, zoneClaim{zone: zone})
		}
		return claims
	}
	return claimsNamed(ws)
}

// claimsNamed are the zones that spec.zones names, sorted.
func claimsNamed(ws *v1alpha1.Workspace) []zoneClaim {
	var claims []zoneClaim
	for i, text := range ws.Spec.Zones {
		zone, namespace, _ := strings.Cut(text, "/")
		claims = append(claims, zoneClaim{zone, namespace, at("spec.zones", i)})
	}
	slices.SortFunc(claims, func(a, b zoneClaim) int {
		return cmp.Or(strings.Compare(a.zone, b.zone), strings.Compare(a.namespace, b.namespace))
	})
	return claims
}

func claimedSites(w *work, ws *v1alpha1.Workspace, claims []zoneClaim) sites {
	var all sites
	for _, claim := range claims {
		zone := value[*v1alpha1.Zone](w, inputKey(kindZone, "", claim.zone))
		if zone == nil || claimsNothing(zone, claim.namespace) {
			continue // reported by the unit of the workspace
		}
		if len(all) > 0 && all[len(all)-1].Zone == zone.Name {
			w.report(kindWorkspace, "", ws.Name, against(v1alpha1.ConditionAccepted,
				problem.Unsupported.Because("%s: one namespace of zone %q belongs to the workspace already", claim.field, zone.Name)))
			continue
		}
		site := siteOf(w, zone, cmp.Or(claim.namespace, ws.Name))
		if site.IsKubernetes() {
			taken := namespaceClaim{ws.Name, site.Namespace, false}
			if !taken.wins(w, zone.Name) {
				continue
			}
			w.send(key{unit: unitZoneInfo, name: zone.Name}, taken)
		}
		all = append(all, site)
	}
	sendPaths(w, all)
	return all
}

func siteOf(w *work, zone *v1alpha1.Zone, namespace string) plan.Site {
	site := plan.Site{
		Zone:     zone.Name,
		Locality: cmp.Or(zone.Spec.Locality.Region, zone.Name) + "/" + cmp.Or(zone.Spec.Locality.Zone, zone.Name),
		Origin:   origin(zone, kindZone, "spec.eastWest"),
	}
	if zone.Spec.Type == v1alpha1.ZoneKubernetes {
		site.Namespace = namespace
	}
	for _, address := range openAt(w, zone) {
		site.Gateways = append(site.Gateways, gatewayAddress(address))
	}
	return site
}

// find is the site of a zone; nil if the workspace does not live there.
func (s sites) find(zone string) *plan.Site {
	for i := range s {
		if s[i].Zone == zone {
			return &s[i]
		}
	}
	return nil
}

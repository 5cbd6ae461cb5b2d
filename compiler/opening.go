package compiler

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/istio"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// A zone is open to others at the addresses that somebody wrote, or else, if it is to discover them, at those that its
// edge found. In a cluster a Gateway object opens the pods behind them.

// openAt are the addresses at which other zones enter a zone.
func openAt(w *work, zone *v1alpha1.Zone) []string {
	if written := zone.Spec.EastWest.Addresses; len(written) > 0 {
		return written
	}
	var found []string
	for _, g := range discoveredGateways(w, zone) {
		found = append(found, g.Addresses...)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// discoveredGateways are those that the zone wishes to use; none unless it says so.
func discoveredGateways(w *work, zone *v1alpha1.Zone) []DiscoveredGateway {
	if !zone.Spec.EastWest.Discover {
		return nil
	}
	if found := value[*DiscoveredGateways](w, inputKey(KindDiscoveredGateways, "", zone.Name)); found != nil {
		return found.Gateways
	}
	return nil
}

// unfound reports that a zone is to be open where its edge finds nothing to enter by.
func unfound(w *work, zone *v1alpha1.Zone) {
	if !zone.Spec.EastWest.IsOpen() || len(openAt(w, zone)) > 0 {
		return
	}
	w.report(kindZone, "", zone.Name, against(v1alpha1.ConditionResolvedRefs, problem.GatewayNotFound.Because("%s", whyUnfound(discoveredGateways(w, zone)))))
}

func whyUnfound(found []DiscoveredGateway) string {
	if len(found) == 0 {
		return "spec.eastWest.discover: the zone's edge tells of no east-west gateway"
	}
	var names []string
	for _, g := range found {
		names = append(names, g.Namespace+"/"+g.Name)
	}
	return "spec.eastWest.discover: no address yet of " + strings.Join(names, ", ")
}

// openings are the Gateways that open a cluster: to the pods of what was discovered, or else to those labelled as is
// usual.
func openings(w *work, zone *v1alpha1.Zone) []*feedpb.Resource {
	from := origin(zone, kindZone, "spec.eastWest")
	found := discoveredGateways(w, zone)
	if len(found) == 0 && len(zone.Spec.EastWest.Addresses) > 0 {
		usual := map[string]string{"istio": "eastwestgateway"}
		return []*feedpb.Resource{istio.EastWest(zone.Name, "istio-system", "isthmus-east-west", usual, v1alpha1.EastWestPort, from)}
	}
	var resources []*feedpb.Resource
	for i, g := range found {
		if !slices.ContainsFunc(found[:i], g.opensSame) {
			resources = append(resources, istio.EastWest(zone.Name, g.Namespace, "isthmus-east-west-"+g.Name, g.Selector, g.Port, from))
		}
	}
	return resources
}

// opensSame is whether one Gateway is enough for both: Istio refuses a second one for the same pods and port.
func (g DiscoveredGateway) opensSame(other DiscoveredGateway) bool {
	return g.Namespace == other.Namespace && g.Port == other.Port && maps.Equal(g.Selector, other.Selector)
}

func gatewayAddress(text string) plan.Endpoint {
	if _, err := netip.ParseAddr(text); err == nil {
		return plan.Endpoint{Host: text, Port: v1alpha1.EastWestPort}
	}
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		if number, err := strconv.ParseUint(text[i+1:], 10, 16); err == nil {
			return plan.Endpoint{Host: strings.Trim(text[:i], "[]"), Port: int32(number)}
		}
	}
	return plan.Endpoint{Host: strings.Trim(text, "[]"), Port: v1alpha1.EastWestPort}
}

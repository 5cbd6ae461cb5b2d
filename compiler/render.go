package compiler

import (
	"errors"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/istio"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

var errNoSecret = errors.New("does not exist")

// viewers computes unitViewers: the workspaces that must see a service because routes lead there.
func viewers(w *work) any { return names(w.members()) }

// visible is a service as it is shown: to those it is exposed to, and to those routes lead there.
func visible(w *work, s *plan.Service) *plan.Service {
	shown := value[[]string](w, key{unit: unitViewers, namespace: s.Workspace, name: s.Name})
	if len(shown) == 0 || len(s.Visible) > 0 {
		return s
	}
	widened := *s
	widened.Visible = shown
	return &widened
}

// entry computes unitEntry.
func entry(w *work) any {
	for m := range w.members() {
		if entry, is := m.(outsider); is {
			return directPassed(w, entry.read, istio.DirectOutside)
		}
		s := visible(w, m.(*plan.Service))
		all := []*feedpb.Resource{istio.ServiceResource(s, addressOf(w, s.Host()))}
		for _, alias := range s.Aliases {
			all = append(all, istio.AliasResource(s, alias, addressOf(w, alias)))
		}
		b := bundle{}
		b.add(render(w, s.Workspace, all...))
		siteEntries(w, &b, s)
		return b.value()
	}
	return nil
}

// destination computes unitDestination: how callers reach a service, and the subsets that routes
// or policies speak of.
func destination(w *work) any {
	k := w.node.key
	s := value[*plan.Service](w, serviceKey(k.namespace, k.name))
	if s == nil {
		return outsideDestination(w)
	}
	d := &plan.Destination{Service: visible(w, s), Policy: policyOf(w, kindService, k.namespace, k.name)}
	for _, name := range wantedSubsets(w) {
		subset, is := subsetOf(s, name)
		if !is {
			continue
		}
		own := policyOf(w, kindSubset, k.namespace, name)
		specialised(w, d.Policy, own, name)
		d.Subsets = append(d.Subsets, plan.SubsetDestination{Subset: subset, Policy: own})
	}
	trust(w, d)
	b := bundle{}
	own := uncontestedDestination(w, d)
	if own == nil {
		b.add(render(w, s.Workspace, istio.Destination(d)))
	} else {
		b.add(render(w, s.Workspace, istio.DirectDestination(d.Service, nil, own.read)))
	}
	siteDestinations(w, &b, d, own)
	return b.value()
}

func wantedSubsets(w *work) []string {
	var all []string
	for m := range w.members() {
		if want, is := m.(wanted); is {
			all = append(all, want.subset)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// specialised reports on both policies what one of a subset says against the one of its service.
func specialised(w *work, ofService, ofSubset *plan.Policy, subset string) {
	if ofService == nil || ofSubset == nil {
		return
	}
	for _, part := range policyParts {
		loser, both := ofService.Origins[part.name]
		winner, too := ofSubset.Origins[part.name]
		if both && too && (loser.Name != winner.Name || loser.Namespace != winner.Namespace) {
			overridden(w, key{kind: kindSubset, name: subset}, part.name, winner, loser)
		}
	}
}

// trust sends the roots that a policy names to the zones.
func trust(w *work, d *plan.Destination) {
	policies := []*plan.Policy{d.Policy}
	for _, subset := range d.Subsets {
		policies = append(policies, subset.Policy)
	}
	for _, p := range policies {
		if p == nil || p.TLS == nil || p.TLS.Roots == "" {
			continue
		}
		from := p.Origins["tls"]
		object := value[*corev1.ConfigMap](w, inputKey(kindConfigMap, from.Namespace, p.TLS.Roots))
		if object == nil || object.Data[istio.RootsKey] == "" {
			w.report(from.Kind, from.Namespace, from.Name, against(v1alpha1.ConditionResolvedRefs,
				problem.RefNotFound.Because("spec.tls.caCertificateRef: there is no ConfigMap %q with key %s", p.TLS.Roots, istio.RootsKey)))
			continue
		}
		w.send(key{unit: unitRoots, namespace: from.Namespace, name: p.TLS.Roots}, from)
	}
}

// roots computes unitRoots.
func roots(w *work) any {
	k := w.node.key
	object := value[*corev1.ConfigMap](w, inputKey(kindConfigMap, k.namespace, k.name))
	if object == nil || len(w.node.members) == 0 {
		return nil
	}
	return render(w, k.namespace, istio.Roots(k.namespace, k.name, object.Data[istio.RootsKey], origins(w)))
}

// origins are the members of a unit that is sent nothing else.
func origins(w *work) []plan.Origin {
	var all []plan.Origin
	for m := range w.members() {
		all = append(all, m.(plan.Origin))
	}
	return all
}

// ingress computes unitIngress.
func ingress(w *work) any {
	for m := range w.members() {
		e := m.(*entrance)
		g := &plan.Gateway{Workspace: e.object.Namespace, Name: e.object.Name}
		for _, l := range e.listeners {
			if l != nil {
				g.Listeners = append(g.Listeners, *l)
			}
		}
		if e.object.Spec.GatewayClassName == EastWestGatewayClass {
			return eastWest(w, e)
		}
		return render(w, g.Workspace, istio.Gateway(g)...)
	}
	return nil
}

// secret computes unitSecret.
func secret(w *work) any {
	k := w.node.key
	if len(w.node.members) == 0 {
		return nil
	}
	certificate, err := certificateOf(w, k.namespace, k.name)
	if err != nil {
		return nil
	}
	return render(w, k.part, istio.Secret(k.part, istio.SecretName(k.part, k.namespace, k.name), certificate, origins(w)))
}

// sidecar computes unitSidecar.
func sidecar(w *work) any {
	for m := range w.members() {
		ws := m.(*v1alpha1.Workspace)
		return render(w, ws.Name, istio.Scope(ws.Name, ws.Spec.Imports, origin(ws, kindWorkspace, "spec.imports")))
	}
	return nil
}

// zoneInfo computes unitZoneInfo.
func zoneInfo(w *work) any {
	var zone *v1alpha1.Zone
	var workspaces []string
	var claims []namespaceClaim
	var edges []*feedpb.ZoneEdge
	var paths []path
	var domains []*trustDomain
	for m := range w.members() {
		switch m := m.(type) {
		case namespaceClaim:
			claims = append(claims, m)
		case *v1alpha1.Zone:
			zone = m
		case *Edges:
			for _, e := range m.Edges {
				edges = append(edges, &feedpb.ZoneEdge{Name: e.Name, Addresses: e.Addresses})
			}
		case path:
			paths = append(paths, m)
		case *trustDomain:
			domains = append(domains, m)
		case string:
			workspaces = append(workspaces, m)
		}
	}
	if zone == nil {
		return nil
	}
	slices.Sort(workspaces)
	info := &feedpb.ZoneInfo{Name: zone.Name, Region: zone.Spec.Locality.Region, Zone: zone.Spec.Locality.Zone,
		Network: zone.Spec.Network, Workspaces: workspaces, Type: string(zone.Spec.Type), Edges: edges, Paths: toPaths(paths),
		Trust: trustOf(w).of(zone.Name).message(), Federated: federated(domains)}
	slices.SortFunc(claims, func(a, b namespaceClaim) int { return strings.Compare(a.namespace, b.namespace) })
	for _, c := range claims {
		info.Claims = append(info.Claims, &feedpb.Claim{Namespace: c.namespace, Workspace: c.workspace})
	}
	if info.Zone == "" {
		info.Zone = zone.Name
	}
	if info.Network == "" {
		info.Network = zone.Name
	}
	resources := []*feedpb.Resource{istio.ZoneInfo(info, origin(zone, kindZone, ""))}
	unfound(w, zone)
	if slices.ContainsFunc(claims, func(c namespaceClaim) bool { return !c.observed }) { // a cluster that is only observed is left as it is
		resources = append(resources, openings(w, zone)...)
	}
	return renderFor(w, zoneReach(zone.Name), resources...)
}

// zoneReach is the reach of what goes to one zone only.
func zoneReach(zone string) key { return key{unit: unitReach, part: zone} }

// token computes unitToken. Tokens of edges stay at the hub, which redeems them itself.
func token(w *work) any {
	for m := range w.members() {
		t := m.(*v1alpha1.JoinToken)
		if !tokenFits(w, t) || t.Spec.Role == v1alpha1.JoinEdge {
			return nil
		}
		return renderFor(w, zoneReach(t.Spec.Zone), istio.Token(t, origin(t, kindJoinToken, "")))
	}
	return nil
}

// tokenFits says whether what the token admits to exists, and reports it otherwise.
func tokenFits(w *work, t *v1alpha1.JoinToken) bool {
	missing := func(kind, name, field string) bool {
		if value[any](w, inputKey(kind, "", name)) != nil {
			return false
		}
		w.report(kindJoinToken, "", t.Name, against(v1alpha1.ConditionResolvedRefs,
			problem.RefNotFound.Because("%s names %s %q, which does not exist", field, kind, name)))
		return true
	}
	if missing(kindZone, t.Spec.Zone, "spec.zone") {
		return false
	}
	return t.Spec.Role == v1alpha1.JoinEdge || !missing(kindWorkspace, t.Spec.Workspace, "spec.workspace")
}

// mesh computes unitMesh.
func mesh(w *work) any {
	if len(w.node.members) == 0 {
		return nil
	}
	return renderFor(w, key{unit: unitReach}, istio.StrictTLS())
}

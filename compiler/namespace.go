package compiler

import (
	"cmp"
	"slices"
	"strings"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
)

// A namespace of a cluster belongs to one workspace: to the oldest of those that name it in spec.zones or in
// spec.observe. For the others it is as if they did not.

// namespaceKey is the unit that settles whose a namespace of a cluster is.
func namespaceKey(zone, namespace string) key {
	return key{unit: unitNamespace, name: zone, part: namespace}
}

// contender is a workspace that names a namespace, and where.
type contender struct {
	workspace *v1alpha1.Workspace
	field     string
}

// contend enters a workspace for its namespaces: one in each zone, the one that counts.
func contend(w *work, ws *v1alpha1.Workspace) {
	entered := map[string]bool{}
	enter := func(zone, namespace, field string) {
		if !entered[zone] {
			entered[zone] = true
			w.send(namespaceKey(zone, cmp.Or(namespace, ws.Name)), contender{ws, field})
		}
	}
	for _, claim := range claimsNamed(ws) {
		enter(claim.zone, claim.namespace, claim.field)
	}
	for i, text := range ws.Spec.Observe {
		zone, namespace, _ := strings.Cut(text, "/")
		enter(zone, namespace, at("spec.observe", i))
	}
}

// namespaceOwner computes unitNamespace: the name of the workspace that has the namespace. Others that name it too are
// told so, and the owner as well.
func namespaceOwner(w *work) any {
	zone := value[*v1alpha1.Zone](w, inputKey(kindZone, "", w.node.key.name))
	if zone == nil || zone.Spec.Type != v1alpha1.ZoneKubernetes {
		return nil
	}
	var all []contender
	for m := range w.members() {
		all = append(all, m.(contender))
	}
	if all == nil {
		return nil
	}
	slices.SortFunc(all, func(a, b contender) int { return older(a.workspace, b.workspace) })
	owner, namespace := all[0], w.node.key.part
	for _, loser := range all[1:] {
		w.report(kindWorkspace, "", loser.workspace.Name, against(conditionConflicted, problem.NamespaceClaimed.Because(
			"%s: namespace %s of zone %q belongs to Workspace %q, which is older", loser.field, namespace, zone.Name, owner.workspace.Name)))
		w.report(kindWorkspace, "", owner.workspace.Name, against(conditionConflicted, problem.NamespaceClaimed.Because(
			"%s: namespace %s of zone %q is also named by Workspace %q; yours is older and keeps it", owner.field, namespace, zone.Name, loser.workspace.Name)))
	}
	return owner.workspace.Name
}

// namespaceClaim tells a cluster which namespace belongs to which workspace.
type namespaceClaim struct {
	workspace, namespace string
	observed             bool
}

// wins is whether the namespace belongs to the workspace and to no other.
func (c namespaceClaim) wins(w *work, zone string) bool {
	return value[string](w, namespaceKey(zone, c.namespace)) == c.workspace
}

package compiler

import (
	"iter"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
)

// workspace is what other units need to know of a Workspace.
type workspace struct {
	name   string
	labels map[string]string
	// listed says that the workspace names the hostnames it may serve.
	listed bool
	// observed are zones that the workspace looks at and does not manage.
	observed []string
}

// workspaceOf computes unitWorkspace: nil when there is no Workspace of that name.
func workspaceOf(w *work) any {
	for m := range w.members() {
		ws := m.(*v1alpha1.Workspace)
		checkWorkspace(w, ws)
		return &workspace{name: ws.Name, labels: ws.Labels, listed: len(ws.Spec.Hostnames) > 0, observed: observe(w, ws)}
	}
	return nil
}

// checkWorkspace reports references of a workspace that lead nowhere, and claims of what cannot be.
func checkWorkspace(w *work, ws *v1alpha1.Workspace) {
	missing := func(kind, name, field string) {
		if name != "" && value[any](w, inputKey(kind, "", name)) == nil {
			w.report(kindWorkspace, "", ws.Name, against(v1alpha1.ConditionResolvedRefs,
				problem.RefNotFound.Because("%s names %s %q, which does not exist", field, kind, name)))
		}
	}
	missing(kindTenant, ws.Spec.Tenant, "spec.tenant")
	for i, claim := range ws.Spec.Zones {
		name, namespace, _ := strings.Cut(claim, "/")
		missing(kindZone, name, "spec.zones")
		if zone := value[*v1alpha1.Zone](w, inputKey(kindZone, "", name)); zone != nil && claimsNothing(zone, namespace) {
			w.report(kindWorkspace, "", ws.Name, against(v1alpha1.ConditionAccepted,
				problem.Invalid.Because("%s: zone %q is one of machines, which has no namespaces", at("spec.zones", i), name)))
		}
	}
	for _, imported := range ws.Spec.Imports {
		missing(kindWorkspace, imported, "spec.imports")
	}
}

// claimsNothing is whether a namespace is claimed where there are none.
func claimsNothing(zone *v1alpha1.Zone, namespace string) bool {
	return namespace != "" && zone.Spec.Type != v1alpha1.ZoneKubernetes
}

// fleet computes unitFleet: the names of all zones, sorted.
func fleet(w *work) any { return names(w.members()) }

// importers computes unitImporters: the names of workspaces, sorted.
func importers(w *work) any { return names(w.members()) }

// names are strings of messages, sorted, once each; nil if there are none.
func names(messages iter.Seq[any]) any {
	var all []string
	for m := range messages {
		if name, is := m.(string); is && name != "" {
			all = append(all, name)
		}
	}
	if all == nil {
		return nil
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// reach computes unitReach: the zones of machines that something of a workspace, a zone or the mesh goes to.
func reach(w *work) any {
	if w.node.key.namespace == "" {
		return names(w.members())
	}
	all := value[[]string](w, key{unit: unitFleet, part: fleetMachines})
	for m := range w.members() {
		ws := m.(*v1alpha1.Workspace)
		zones := make([]string, 0, len(all))
		for _, zone := range all {
			if len(ws.Spec.Zones) == 0 || slices.Contains(ws.Spec.Zones, zone) {
				zones = append(zones, zone)
				w.send(key{unit: unitZoneInfo, name: zone}, ws.Name)
			}
		}
		return zones
	}
	return nil
}

// population computes unitPopulation: the label sets of a workspace's workloads that are managed.
func population(w *work) any {
	var all []map[string]string
	var observed []string
	if ws := value[*workspace](w, workspaceKey(w.node.key.namespace)); ws != nil {
		observed = ws.observed
	}
	for m := range w.members() {
		if d := m.(*Discovered).managed(observed); d != nil {
			all = append(all, d.Labels...)
		}
	}
	return all
}

// older orders objects of one kind by the rule for conflicts: age, then namespace and name.
func older(a, b metav1.Object) int {
	at, bt := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	switch {
	case at.Before(&bt):
		return -1
	case bt.Before(&at):
		return 1
	}
	return compareNames(a.GetNamespace(), a.GetName(), b.GetNamespace(), b.GetName())
}

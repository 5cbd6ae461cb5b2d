package compiler

import (
	"slices"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

func targetKind(ref v1alpha1.TargetRef) string {
	if ref.Kind == "" {
		return kindService
	}
	return ref.Kind
}

// policyOf is what policies say about a target; nil if there are none.
func policyOf(w *work, kind, namespace, name string) *plan.Policy {
	if !value[bool](w, key{unit: unitPoliced, namespace: namespace}) {
		return nil
	}
	return value[*plan.Policy](w, policyKey(kind, namespace, name))
}

// policy computes unitPolicy: what all TrafficPolicies of one target say together. For each part
// the oldest policy that says it wins, and both learn of it.
func policy(w *work) any {
	k := w.node.key
	policies := make([]*v1alpha1.TrafficPolicy, 0, len(w.node.members))
	for m := range w.members() {
		policies = append(policies, m.(*v1alpha1.TrafficPolicy))
	}
	if len(policies) == 0 || !targetExists(w, policies) {
		return nil
	}
	slices.SortFunc(policies, func(a, b *v1alpha1.TrafficPolicy) int { return older(a, b) })
	policies = slices.Compact(policies)
	merged := &plan.Policy{Origins: make(map[string]plan.Origin)}
	for _, p := range policies {
		tellMisfits(w, p)
		for _, part := range policyParts {
			addPart(w, merged, p, part)
		}
	}
	if k.kind == kindSubset {
		if s, subset := findSubset(w, k.namespace, k.name); s != nil {
			w.send(key{unit: unitDestination, namespace: s.Workspace, name: s.Name}, wanted{subset})
		}
	}
	return merged
}

// targetExists says whether the target of a policy exists, and reports it to the policies if not.
func targetExists(w *work, policies []*v1alpha1.TrafficPolicy) bool {
	k := w.node.key
	var exists bool
	switch k.kind {
	case kindService:
		exists = value[*plan.Service](w, serviceKey(k.namespace, k.name)) != nil
	case kindSubset:
		s, _ := findSubset(w, k.namespace, k.name)
		exists = s != nil
	case kindHTTPRoute:
		exists = value[any](w, inputKey(kindHTTPRoute, k.namespace, k.name)) != nil
	}
	for _, p := range policies {
		if !exists {
			w.report(kindTrafficPolicy, p.Namespace, p.Name, against(v1alpha1.ConditionResolvedRefs,
				problem.RefNotFound.Because("spec.targetRefs names %s %q, which does not exist in the workspace", k.kind, k.name)))
		}
	}
	return exists
}

// addPart adds one part of a policy to what is said about the target, unless an older one says it.
func addPart(w *work, merged *plan.Policy, p *v1alpha1.TrafficPolicy, part policyPart) {
	if !part.set(&p.Spec) {
		return
	}
	if !part.fits(w.node.key.kind) {
		w.report(kindTrafficPolicy, p.Namespace, p.Name, against(v1alpha1.ConditionAccepted,
			problem.Unsupported.Because("spec.%s does not apply to kind %s", part.name, w.node.key.kind)))
		return
	}
	if winner, said := merged.Origins[part.name]; said {
		overridden(w, w.node.key, part.name, winner, origin(p, kindTrafficPolicy, ""))
		return
	}
	if err := part.put(merged, &p.Spec); err != nil {
		w.report(kindTrafficPolicy, p.Namespace, p.Name, against(v1alpha1.ConditionAccepted,
			problem.Invalid.Because("spec.%s: %v", part.name, err)))
		return
	}
	merged.Origins[part.name] = origin(p, kindTrafficPolicy, "spec."+part.name)
}

// overridden reports on two policies that both say a part for a target.
func overridden(w *work, target key, part string, winner, loser plan.Origin) {
	w.report(loser.Kind, loser.Namespace, loser.Name, against(conditionConflicted,
		problem.Overridden.Because("spec.%s for %s %q: TrafficPolicy %q wins", part, target.kind, target.name, winner.Name)))
	w.report(winner.Kind, winner.Namespace, winner.Name, against(conditionConflicted,
		problem.Overridden.Because("spec.%s for %s %q: this policy wins over TrafficPolicy %q", part, target.kind, target.name, loser.Name)))
}

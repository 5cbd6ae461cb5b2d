package compiler

import (
	"cmp"
	"slices"
	"strings"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// aliasKey is the unit that settles whose a further host of a service is. Services that only their
// workspace sees may have the hosts of those of others: everybody may call the same external name.
func aliasKey(s *v1alpha1.Service, host string) key {
	k := key{unit: unitAlias, part: host}
	if s.Spec.Exposure != v1alpha1.ExposeAll {
		k.namespace = s.Namespace
	}
	return k
}

// alias computes unitAlias: the namespace and name of the service that a host belongs to. A full
// name belongs to the service of that name, any other to the oldest that lists it.
func alias(w *work) any {
	claims := make([]*v1alpha1.Service, 0, len(w.node.members))
	for m := range w.members() {
		claims = append(claims, m.(*v1alpha1.Service))
	}
	if len(claims) == 0 {
		return nil
	}
	slices.SortFunc(claims, func(a, b *v1alpha1.Service) int { return older(a, b) })
	host := w.node.key.part
	if owner, named := named(w, host); named {
		for _, loser := range claims {
			duplicate(w, host, owner, loser)
		}
		return owner
	}
	owner := object{claims[0].Namespace, claims[0].Name}
	for _, loser := range claims[1:] {
		duplicate(w, host, owner, loser)
	}
	return owner
}

// object is the namespace and name of an object.
type object struct{ namespace, name string }

func compareNames(namespaceA, nameA, namespaceB, nameB string) int {
	return cmp.Or(strings.Compare(namespaceA, namespaceB), strings.Compare(nameA, nameB))
}

// named finds the service that has host as its own full name.
func named(w *work, host string) (object, bool) {
	short, is := strings.CutSuffix(host, "."+plan.Domain)
	if !is {
		return object{}, false
	}
	name, namespace, _ := strings.Cut(short, ".")
	exists := value[any](w, inputKey(kindService, namespace, name)) != nil ||
		value[any](w, inputKey(KindDiscovered, namespace, name)) != nil
	return object{namespace, name}, exists
}

// duplicate reports on both services that they claim one host.
func duplicate(w *work, host string, owner object, loser *v1alpha1.Service) {
	if owner.namespace == loser.Namespace && owner.name == loser.Name {
		return
	}
	w.report(kindService, loser.Namespace, loser.Name, against(v1alpha1.ConditionAccepted,
		problem.DuplicateService.Because("spec.hosts: %q belongs to Service %s/%s", host, owner.namespace, owner.name)))
	w.report(kindService, owner.namespace, owner.name, against(conditionConflicted,
		problem.DuplicateService.Because("%q is also claimed by Service %s/%s; this one keeps it", host, loser.Namespace, loser.Name)))
}

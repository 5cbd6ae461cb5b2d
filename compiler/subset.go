package compiler

import (
	"slices"
	"strings"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// findSubset finds a subset by its name: one that an object declares, or SERVICE-VERSION or
// SERVICE-ZONE as far as workloads of the kind have joined.
func findSubset(w *work, namespace, name string) (*plan.Service, string) {
	if declared := declaredSubset(w, namespace, name); declared != nil {
		if s := value[*plan.Service](w, serviceKey(namespace, declared.Spec.Service)); s != nil {
			return s, name
		}
		return nil, ""
	}
	for i := len(name) - 1; i > 0; i-- {
		if name[i] != '-' {
			continue
		}
		s := value[*plan.Service](w, serviceKey(namespace, name[:i]))
		if s != nil && exists(s, name[i+1:]) {
			return s, name
		}
	}
	return nil, ""
}

func declaredSubset(w *work, namespace, name string) *v1alpha1.Subset {
	if !value[bool](w, key{unit: unitNarrowed, namespace: namespace}) {
		return nil
	}
	return value[*v1alpha1.Subset](w, inputKey(kindSubset, namespace, name))
}

// exists says whether a service has the subset SERVICE-SUFFIX by itself.
func exists(s *plan.Service, suffix string) bool {
	return slices.Contains(s.Versions, suffix) || slices.Contains(s.Zones, suffix)
}

// subsetOf finds a subset of a service by name.
func subsetOf(s *plan.Service, name string) (plan.Subset, bool) {
	if s == nil {
		return plan.Subset{}, false
	}
	for _, subset := range s.Subsets {
		if subset.Name == name {
			return subset, true
		}
	}
	suffix, is := strings.CutPrefix(name, s.Name+"-")
	switch {
	case is && slices.Contains(s.Versions, suffix):
		return plan.Subset{Name: name, Labels: map[string]string{plan.LabelVersion: suffix}}, true
	case is && slices.Contains(s.Zones, suffix):
		return plan.Subset{Name: name, Labels: map[string]string{plan.LabelZone: suffix}}, true
	}
	return plan.Subset{}, false
}

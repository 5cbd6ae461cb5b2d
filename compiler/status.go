package compiler

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
)

// status computes unitStatus: everything units had to say about one object.
func status(w *work) any {
	s := &statusWork{work: w}
	for m := range w.members() {
		s.add(m)
	}
	if !s.exists {
		return nil
	}
	k := w.node.key
	result := &ObjectStatus{Kind: k.kind, Namespace: k.namespace, Name: k.name, Generation: s.generation}
	result.Zones, result.Resources = s.destinations()
	switch k.kind {
	case kindHTTPRoute, kindGRPCRoute, kindTLSRoute, kindTCPRoute:
		result.Parents = s.parentStatuses()
		result.Conditions = s.routeConditions(result.Parents)
	case kindGateway:
		result.Listeners, result.Conditions = s.listenerStatuses(), s.gatewayConditions()
	case kindGatewayClass, KindDiscovered:
		result.Conditions = s.conditions(s.findings, v1alpha1.ConditionAccepted)
	default:
		result.Conditions = s.conditions(s.findings, v1alpha1.ConditionAccepted, v1alpha1.ConditionResolvedRefs)
	}
	return result
}

// statusWork collects what was sent about one object.
type statusWork struct {
	*work
	exists     bool
	generation int64
	findings   []finding
	parents    []attached
	listeners  []listenerState
	made       []made
}

func (s *statusWork) add(m any) {
	switch m := m.(type) {
	case subject:
		s.exists, s.generation = true, m.generation
	case finding:
		s.findings = append(s.findings, m)
	case attached:
		s.parents = append(s.parents, m)
	case listenerState:
		s.listeners = append(s.listeners, m)
	case made:
		s.made = append(s.made, m)
	}
}

// destinations are the zones and resources the object takes part in.
func (s *statusWork) destinations() (zones, resources []string) {
	var last key
	for _, m := range s.made {
		resources = append(resources, m.resource)
		if m.reach != last {
			zones = append(zones, value[[]string](s.work, m.reach)...)
			last = m.reach
		}
	}
	slices.Sort(zones)
	slices.Sort(resources)
	return slices.Compact(zones), slices.Compact(resources)
}

// conditions makes one condition of each type that something was found about, and of the expected
// types, which are True if nothing was found.
func (s *statusWork) conditions(findings []finding, expected ...string) []metav1.Condition {
	if len(findings) == 0 {
		return s.asExpected(expected)
	}
	types := slices.Clone(expected)
	for _, f := range findings {
		types = append(types, f.condition)
	}
	slices.Sort(types)
	var all []metav1.Condition
	for _, t := range slices.Compact(types) {
		all = append(all, s.condition(t, findings))
	}
	return all
}

// asExpected are conditions that are all True.
func (s *statusWork) asExpected(types []string) []metav1.Condition {
	all := make([]metav1.Condition, len(types))
	for i, t := range types {
		all[i] = metav1.Condition{Type: t, Status: metav1.ConditionTrue, ObservedGeneration: s.generation, Reason: t}
	}
	return all
}

// condition sums up the findings about one type; the first one gives the reason.
func (s *statusWork) condition(t string, findings []finding) metav1.Condition {
	c := metav1.Condition{Type: t, Status: metav1.ConditionTrue, ObservedGeneration: s.generation, Reason: t}
	var details, remedies []string
	for _, f := range findings {
		if f.condition != t {
			continue
		}
		if details == nil {
			c.Status, c.Reason = f.status, f.reason
		}
		details, remedies = addOnce(details, f.detail), addOnce(remedies, f.remedy)
	}
	if details != nil {
		c.Message = limit(strings.Join(details, "; ") + ". " + strings.Join(remedies, ". "))
	}
	return c
}

func addOnce(texts []string, text string) []string {
	if slices.Contains(texts, text) {
		return texts
	}
	return append(texts, text)
}

// limit keeps a message within what Kubernetes allows for a condition, with room to spare.
func limit(message string) string {
	const most = 4096
	if len(message) <= most {
		return message
	}
	return strings.ToValidUTF8(message[:most], "") + "…"
}

// parentStatuses are those of the parents of a route, in the order of parentRefs.
func (s *statusWork) parentStatuses() []gatewayv1.RouteParentStatus {
	slices.SortFunc(s.parents, func(a, b attached) int { return a.index - b.index })
	all := []gatewayv1.RouteParentStatus{}
	for _, p := range s.parents {
		all = append(all, gatewayv1.RouteParentStatus{
			ParentRef:      p.ref,
			ControllerName: ControllerName,
			Conditions:     s.conditions(s.about(p), v1alpha1.ConditionAccepted, v1alpha1.ConditionResolvedRefs),
		})
	}
	return all
}

// about are the findings about one parent. A parent under which every hostname was lost does not
// take the route.
func (s *statusWork) about(p attached) []finding {
	var all []finding
	lost := 0
	for _, f := range s.findings {
		if f.parent != whole && f.parent != p.index {
			continue
		}
		all = append(all, f)
		if f.lost {
			lost++
			if lost == p.hosts {
				f.condition, f.status = v1alpha1.ConditionAccepted, metav1.ConditionFalse
				all = append(all, f)
			}
		}
	}
	return all
}

// routeConditions sum up the parents: a route is accepted when all of them take it.
func (s *statusWork) routeConditions(parents []gatewayv1.RouteParentStatus) []metav1.Condition {
	if len(parents) == 1 {
		return parents[0].Conditions
	}
	var all []finding
	for _, p := range s.parents {
		all = append(all, s.about(p)...)
	}
	return s.conditions(all, v1alpha1.ConditionAccepted, v1alpha1.ConditionResolvedRefs)
}

// listenerStatuses are those of the listeners of a Gateway, in the order of the object.
func (s *statusWork) listenerStatuses() []gatewayv1.ListenerStatus {
	all := []gatewayv1.ListenerStatus{}
	k := s.node.key
	for _, l := range s.listeners {
		count := key{unit: unitListener, namespace: k.namespace, name: k.name, part: string(l.name)}
		all = append(all, gatewayv1.ListenerStatus{
			Name:           l.name,
			SupportedKinds: l.kinds,
			AttachedRoutes: value[int32](s.work, count),
			Conditions:     s.conditions(s.of(string(l.name)), v1alpha1.ConditionAccepted, v1alpha1.ConditionResolvedRefs),
		})
	}
	return all
}

// of are the findings about one listener; "" are those about the Gateway itself.
func (s *statusWork) of(listener string) []finding {
	return slices.DeleteFunc(slices.Clone(s.findings), func(f finding) bool { return f.listener != listener })
}

// gatewayConditions say whether the Gateway is served; one with a faulty listener says so in the reason.
func (s *statusWork) gatewayConditions() []metav1.Condition {
	all := s.conditions(s.of(""), v1alpha1.ConditionAccepted, v1alpha1.ConditionResolvedRefs)
	faulty := make(map[string]bool)
	for _, f := range s.findings {
		if f.listener != "" {
			faulty[f.listener] = true
		}
	}
	for i := range all {
		if c := &all[i]; c.Type == v1alpha1.ConditionAccepted && c.Status == metav1.ConditionTrue && len(faulty) > 0 {
			c.Reason, c.Message = string(gatewayv1.GatewayReasonListenersNotValid), "A listener is faulty, see status.listeners"
			if len(faulty) == len(s.listeners) {
				c.Status = metav1.ConditionFalse
			}
		}
	}
	return all
}

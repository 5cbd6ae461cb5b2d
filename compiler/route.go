package compiler

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// routed is a route of any kind with its references resolved, before it is known where it applies.
type routed struct {
	key       key
	created   metav1.Time
	parents   []gatewayv1.ParentReference
	hostnames []gatewayv1.Hostname
	entries   []plan.Entry
	streams   []plan.Stream
	// faulty counts rules that make no sense; rules all of them.
	faulty, rules int
}

// streams says whether a route is one of connections, not requests.
func (k key) streams() bool { return k.kind == kindTLSRoute || k.kind == kindTCPRoute }

// attachment is a route at a place where it applies.
type attachment struct {
	route  *routed
	parent int
	// port of a service; 0 means all.
	port int32
}

// attached tells the status of a route about a parent that took it: under how many hostnames.
type attached struct {
	ref   gatewayv1.ParentReference
	index int
	hosts int
}

// route computes unitRoute: it resolves the rules, and attaches them to the parents.
func route(w *work) any {
	for m := range w.members() {
		r := &routeWork{work: w, routed: &routed{key: w.node.key}}
		r.read(m)
		r.conclude()
	}
	return nil
}

// routeWork computes one route.
type routeWork struct {
	*work
	*routed
	// policy attached to the route itself.
	policy *plan.Policy
	// backends used, to be made visible to the callers.
	backends []plan.Backend
	// accepting says that a parent takes the route.
	accepting bool
}

func (r *routeWork) read(m any) {
	r.policy = policyOf(r.work, r.key.kind, r.key.namespace, r.key.name)
	switch m := m.(type) {
	case *gatewayv1.HTTPRoute:
		r.created, r.parents, r.hostnames = m.CreationTimestamp, m.Spec.ParentRefs, m.Spec.Hostnames
		r.httpRules(m)
	case *gatewayv1.GRPCRoute:
		r.created, r.parents, r.hostnames = m.CreationTimestamp, m.Spec.ParentRefs, m.Spec.Hostnames
		r.grpcRules(m)
	case *gatewayv1.TLSRoute:
		r.created, r.parents, r.hostnames = m.CreationTimestamp, m.Spec.ParentRefs, m.Spec.Hostnames
		for i, rule := range m.Spec.Rules {
			r.streamRule(m, i, rule.BackendRefs)
		}
	case *gatewayv1.TCPRoute:
		r.created, r.parents = m.CreationTimestamp, m.Spec.ParentRefs
		for i, rule := range m.Spec.Rules {
			r.streamRule(m, i, rule.BackendRefs)
		}
	}
}

// conclude attaches the route to its parents, unless it makes no sense at all.
func (r *routeWork) conclude() {
	for i, ref := range r.parents {
		place := attached{ref: ref, index: i}
		switch {
		case value[*workspace](r.work, workspaceKey(r.key.namespace)) == nil:
			r.reject(i, problem.NoWorkspace.Because("there is no Workspace %q", r.key.namespace), "")
		case r.rules > 0 && r.faulty == r.rules:
			r.reject(i, problem.Invalid.Because("no rule of the route is valid"), string(gatewayv1.RouteReasonUnsupportedValue))
		case isService(ref.Group, ref.Kind):
			place.hosts = r.attachToService(i, ref)
		case isGateway(ref):
			place.hosts = r.attachToGateway(i, ref)
		default:
			r.reject(i, problem.ParentNotFound.Because("spec.parentRefs[%d]: a parent is a Gateway, or a Service of group \"\" or isthmus.dev", i), "")
		}
		r.send(statusKey(r.key.kind, r.key.namespace, r.key.name), place)
	}
	if r.accepting {
		r.use()
	}
}

// reject reports that a parent does not take the route. An empty reason means the problem's own.
func (r *routeWork) reject(parent int, err *problem.Error, reason string) {
	f := against(v1alpha1.ConditionAccepted, err).at(parent)
	if reason != "" {
		f = f.because(reason)
	}
	r.report(r.key.kind, r.key.namespace, r.key.name, f)
}

// complain reports something about the whole route.
func (r *routeWork) complain(f finding) { r.report(r.key.kind, r.key.namespace, r.key.name, f) }

// fault reports a rule that makes no sense.
func (r *routeWork) fault(err *problem.Error) {
	r.complain(against(conditionPartiallyInvalid, err).because(string(gatewayv1.RouteReasonUnsupportedValue)))
}

// use has the subsets of the backends made.
func (r *routeWork) use() {
	for _, backend := range r.backends {
		if backend.Subset != "" {
			r.send(key{unit: unitDestination, namespace: backend.Service.Workspace, name: backend.Service.Name}, wanted{backend.Subset})
		}
	}
}

// show makes the backends visible to workspaces that call through the route.
func (r *routeWork) show(callers ...string) {
	for _, backend := range r.backends {
		for _, caller := range callers {
			if caller != backend.Service.Workspace {
				r.send(key{unit: unitViewers, namespace: backend.Service.Workspace, name: backend.Service.Name}, caller)
			}
		}
	}
}

func isService(group *gatewayv1.Group, kind *gatewayv1.Kind) bool {
	return kind != nil && *kind == kindService &&
		group != nil && (*group == "" || string(*group) == v1alpha1.GroupVersion.Group)
}

func isGateway(ref gatewayv1.ParentReference) bool {
	return (ref.Kind == nil || *ref.Kind == kindGateway) && (ref.Group == nil || *ref.Group == gatewayv1.GroupName)
}

// namespaceOf is the namespace a reference leads to.
func namespaceOf(namespace *gatewayv1.Namespace, own string) string {
	if namespace == nil {
		return own
	}
	return string(*namespace)
}

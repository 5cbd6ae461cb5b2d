package compiler

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// listeners checks the listeners of a Gateway one by one, in order: a later one must not
// contradict those before it.
func listeners(w *work, g *gatewayv1.Gateway) []*plan.Listener {
	served := make([]*plan.Listener, len(g.Spec.Listeners))
	for i := range g.Spec.Listeners {
		l := &g.Spec.Listeners[i]
		c := listenerCheck{w: w, gateway: g, listener: l, field: at("spec.listeners", i)}
		served[i] = c.check(served[:i])
	}
	return served
}

// listenerCheck looks at one listener.
type listenerCheck struct {
	w        *work
	gateway  *gatewayv1.Gateway
	listener *gatewayv1.Listener
	field    string
}

// report says something about the listener.
func (c *listenerCheck) report(f finding) {
	f.listener = string(c.listener.Name)
	c.w.report(kindGateway, c.gateway.Namespace, c.gateway.Name, f)
}

// check returns the listener, or nil when it cannot serve.
func (c *listenerCheck) check(before []*plan.Listener) *plan.Listener {
	protocol, known := listenerProtocol(c.listener)
	c.kinds(protocol, known)
	if !known {
		c.report(against(v1alpha1.ConditionAccepted, problem.Unsupported.Because("%s: protocol %q", c.field, c.listener.Protocol)).
			because(string(gatewayv1.ListenerReasonUnsupportedProtocol)))
		return nil
	}
	l := &plan.Listener{Name: string(c.listener.Name), Port: c.listener.Port, Protocol: protocol, Host: plan.Any}
	if c.listener.Hostname != nil && *c.listener.Hostname != "" {
		l.Host = string(*c.listener.Hostname)
	}
	l.Origin = origin(c.gateway, kindGateway, c.field)
	if !c.compatible(l, before) || !c.certificates(l) {
		return nil
	}
	return l
}

// compatible says whether a listener agrees with the earlier ones of its port.
func (c *listenerCheck) compatible(l *plan.Listener, before []*plan.Listener) bool {
	for _, other := range before {
		if other == nil || other.Port != l.Port {
			continue
		}
		reason := gatewayv1.ListenerReasonNoConflicts
		switch {
		case family(other.Protocol) != family(l.Protocol):
			reason = gatewayv1.ListenerReasonProtocolConflict
		case other.Host == l.Host:
			reason = gatewayv1.ListenerReasonHostnameConflict
		}
		if reason != gatewayv1.ListenerReasonNoConflicts {
			err := problem.Overridden.Because("%s: listener %q has port %d already", c.field, other.Name, l.Port)
			c.report(against(conditionConflicted, err).because(string(reason)))
			return false
		}
	}
	return true
}

// family groups the protocols that can share a port.
func family(p plan.ListenerProtocol) plan.ListenerProtocol {
	if p == plan.ListenTLS || p == plan.ListenPassthrough {
		return plan.ListenHTTPS
	}
	return p
}

// listenerProtocol is the protocol of a listener, with the mode of its TLS.
func listenerProtocol(l *gatewayv1.Listener) (plan.ListenerProtocol, bool) {
	passthrough := l.TLS != nil && l.TLS.Mode != nil && *l.TLS.Mode == gatewayv1.TLSModePassthrough
	switch l.Protocol {
	case gatewayv1.HTTPProtocolType:
		return plan.ListenHTTP, true
	case gatewayv1.HTTPSProtocolType:
		return plan.ListenHTTPS, !passthrough
	case gatewayv1.TLSProtocolType:
		if passthrough {
			return plan.ListenPassthrough, true
		}
		return plan.ListenTLS, true
	case gatewayv1.TCPProtocolType:
		return plan.ListenTCP, true
	}
	return 0, false
}

// servedKinds are the kinds of routes a protocol carries.
func servedKinds(p plan.ListenerProtocol) []string {
	switch p {
	case plan.ListenHTTP, plan.ListenHTTPS:
		return []string{kindHTTPRoute, kindGRPCRoute}
	case plan.ListenPassthrough:
		return []string{kindTLSRoute}
	}
	return []string{kindTCPRoute}
}

// kinds tells the status which kinds the listener takes, and reports those it cannot.
func (c *listenerCheck) kinds(protocol plan.ListenerProtocol, known bool) {
	state := listenerState{name: c.listener.Name, kinds: []gatewayv1.RouteGroupKind{}}
	group := gatewayv1.Group(gatewayv1.GroupName)
	for _, kind := range servedKinds(protocol) {
		if known && (asksNoKinds(c.listener) || asksKind(c.listener, kind)) {
			state.kinds = append(state.kinds, gatewayv1.RouteGroupKind{Group: &group, Kind: gatewayv1.Kind(kind)})
		}
	}
	c.w.send(statusKey(kindGateway, c.gateway.Namespace, c.gateway.Name), state)
	if known && !asksNoKinds(c.listener) && len(state.kinds) < len(c.listener.AllowedRoutes.Kinds) {
		c.report(against(v1alpha1.ConditionResolvedRefs, problem.Unsupported.Because("%s.allowedRoutes.kinds: a kind that protocol %s does not carry",
			c.field, c.listener.Protocol)).because(string(gatewayv1.ListenerReasonInvalidRouteKinds)))
	}
}

func asksNoKinds(l *gatewayv1.Listener) bool {
	return l.AllowedRoutes == nil || len(l.AllowedRoutes.Kinds) == 0
}

func asksKind(l *gatewayv1.Listener, kind string) bool {
	return slices.ContainsFunc(l.AllowedRoutes.Kinds, func(k gatewayv1.RouteGroupKind) bool {
		return string(k.Kind) == kind && (k.Group == nil || *k.Group == gatewayv1.GroupName)
	})
}

// admits says whether a listener takes routes of a kind from a namespace.
func admits(w *work, g *gatewayv1.Gateway, l *gatewayv1.Listener, p plan.ListenerProtocol, kind, namespace string) bool {
	if !slices.Contains(servedKinds(p), kind) || !asksNoKinds(l) && !asksKind(l, kind) {
		return false
	}
	from := gatewayv1.NamespacesFromSame
	var selector *metav1.LabelSelector
	if l.AllowedRoutes != nil && l.AllowedRoutes.Namespaces != nil {
		selector = l.AllowedRoutes.Namespaces.Selector
		if l.AllowedRoutes.Namespaces.From != nil {
			from = *l.AllowedRoutes.Namespaces.From
		}
	}
	switch from {
	case gatewayv1.NamespacesFromAll:
		return true
	case gatewayv1.NamespacesFromSelector:
		return selects(w, selector, namespace)
	}
	return from == gatewayv1.NamespacesFromSame && namespace == g.Namespace
}

// selects says whether a selector of namespaces picks a workspace: by the labels of the Workspace
// and the name that Kubernetes gives every namespace as a label.
func selects(w *work, selector *metav1.LabelSelector, namespace string) bool {
	ws := value[*workspace](w, workspaceKey(namespace))
	s, err := metav1.LabelSelectorAsSelector(selector)
	if ws == nil || err != nil {
		return false
	}
	set := labels.Set{"kubernetes.io/metadata.name": namespace}
	return s.Matches(labels.Merge(ws.labels, set))
}

// listenerKey is the unit that counts the routes of a listener.
func listenerKey(g *gatewayv1.Gateway, name string) key {
	return key{unit: unitListener, namespace: g.Namespace, name: g.Name, part: name}
}

// listener computes unitListener: how many routes are attached.
func listener(w *work) any {
	routes := make(map[key]bool, len(w.node.members))
	for m := range w.members() {
		routes[m.(key)] = true
	}
	if len(routes) == 0 {
		return nil
	}
	return int32(len(routes))
}

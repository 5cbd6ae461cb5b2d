package compiler

import (
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// meshHostKey is the unit of the routing that callers of one workspace meet when they call a
// service: that of the service's own workspace, which holds for all callers, or that of another
// one, which holds for its own callers only.
func meshHostKey(s *plan.Service, callers string) key {
	return key{unit: unitMeshHost, namespace: s.Workspace, name: s.Name, part: callers}
}

// attachToService attaches the route to the calls of a service, and returns 1 if it fits.
func (r *routeWork) attachToService(parent int, ref gatewayv1.ParentReference) int {
	namespace := namespaceOf(ref.Namespace, r.key.namespace)
	s := value[*plan.Service](r.work, serviceKey(namespace, string(ref.Name)))
	switch {
	case s == nil:
		r.reject(parent, problem.ParentNotFound.Because("spec.parentRefs[%d]: there is no service %s/%s%s",
			parent, namespace, ref.Name, lookedAt(r.work, namespace, string(ref.Name))), "")
		return 0
	case namespace != r.key.namespace && len(s.Visible) == 0:
		r.reject(parent, problem.RefNotPermitted.Because("spec.parentRefs[%d]: service %s/%s is not exposed to other workspaces", parent, namespace, ref.Name),
			string(gatewayv1.RouteReasonNotAllowedByListeners))
		return 0
	case !r.fitsPort(s, ref.Port) || ref.SectionName != nil:
		r.reject(parent, problem.ParentNotFound.Because("spec.parentRefs[%d]: service %s/%s has no such port for routes of kind %s", parent, namespace, ref.Name, r.key.kind), "")
		return 0
	}
	a := attachment{route: r.routed, parent: parent}
	if ref.Port != nil {
		a.port = *ref.Port
	}
	r.send(meshHostKey(s, r.key.namespace), a)
	r.accepting = true
	r.show(r.key.namespace)
	if namespace == r.key.namespace && len(s.Visible) > 0 {
		r.show(value[[]string](r.work, key{unit: unitImporters, namespace: namespace})...)
	}
	return 1
}

// fitsPort says whether a service has a port that the kind of route can be on.
func (r *routeWork) fitsPort(s *plan.Service, number *int32) bool {
	for _, port := range s.Ports {
		if (number == nil || *number == port.Number) && r.fits(port.Protocol) {
			return true
		}
	}
	return false
}

// fits says whether the kind of route can work on connections of a protocol.
func (r *routeWork) fits(p plan.Protocol) bool {
	switch r.key.kind {
	case kindHTTPRoute, kindGRPCRoute:
		return p.IsHTTP()
	case kindTLSRoute:
		return p == plan.TLS
	}
	return !p.IsHTTP()
}

// attachToGateway attaches the route to listeners of a Gateway, and returns under how many hostnames.
func (r *routeWork) attachToGateway(parent int, ref gatewayv1.ParentReference) int {
	namespace := namespaceOf(ref.Namespace, r.key.namespace)
	e := value[*entrance](r.work, key{unit: unitGateway, namespace: namespace, name: string(ref.Name)})
	if e == nil {
		r.reject(parent, problem.ParentNotFound.Because("spec.parentRefs[%d]: no Gateway %s/%s is served", parent, namespace, ref.Name), "")
		return 0
	}
	var named, admitted, hosts int
	for i, l := range e.listeners {
		listener := &e.object.Spec.Listeners[i]
		if l == nil || ref.SectionName != nil && *ref.SectionName != listener.Name || ref.Port != nil && *ref.Port != listener.Port {
			continue
		}
		named++
		if admits(r.work, e.object, listener, l.Protocol, r.key.kind, r.key.namespace) {
			admitted++
			hosts += r.attachToListener(parent, e, l)
		}
	}
	switch {
	case named == 0:
		r.reject(parent, problem.ParentNotFound.Because("spec.parentRefs[%d]: Gateway %s/%s has no such listener that serves", parent, namespace, ref.Name), "")
	case admitted == 0:
		r.reject(parent, problem.NotAllowed.Because("spec.parentRefs[%d]: no listener of Gateway %s/%s takes routes of kind %s from namespace %q",
			parent, namespace, ref.Name, r.key.kind, r.key.namespace), "")
	case hosts == 0:
		r.reject(parent, problem.NoMatchingHostname.Because("spec.hostnames: no listener of Gateway %s/%s serves one of them", namespace, ref.Name), "")
	}
	if hosts > 0 {
		r.accepting = true
		r.show(namespace)
	}
	return hosts
}

// use of a hostname at a listener by a route.
type use struct {
	attachment
	gateway  *gatewayv1.Gateway
	listener string
	host     string
}

// attachToListener attaches the route under every hostname that it and the listener share.
func (r *routeWork) attachToListener(parent int, e *entrance, l *plan.Listener) int {
	hosts := r.sharedHosts(e, l)
	for _, host := range hosts {
		u := use{attachment{route: r.routed, parent: parent}, e.object, l.Name, host}
		if host == plan.Any {
			u.attach(r.work)
		} else {
			r.send(key{unit: unitHostname, part: host}, u)
		}
	}
	return len(hosts)
}

// attach puts the route in place.
func (u use) attach(w *work) {
	w.send(key{unit: unitGatewayHost, namespace: u.gateway.Namespace, name: u.gateway.Name, kind: u.listener, part: u.host}, u.attachment)
	w.send(listenerKey(u.gateway, u.listener), u.route.key)
}

// sharedHosts are the hostnames the route serves at a listener: the narrower ones of the two
// sides, without those that a more specific listener of the port serves.
func (r *routeWork) sharedHosts(e *entrance, l *plan.Listener) []string {
	if r.key.kind == kindTCPRoute {
		return []string{plan.Any}
	}
	wanted := r.hostnames
	if len(wanted) == 0 {
		wanted = []gatewayv1.Hostname{plan.Any}
	}
	var hosts []string
	for _, name := range wanted {
		if host := plan.Intersect(l.Host, string(name)); host != "" && mostSpecific(e, l, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// mostSpecific says whether no other listener of the port is closer to a host.
func mostSpecific(e *entrance, l *plan.Listener, host string) bool {
	for _, other := range e.listeners {
		if other != nil && other != l && other.Port == l.Port &&
			plan.Covers(l.Host, other.Host) && plan.Covers(other.Host, host) {
			return false
		}
	}
	return true
}

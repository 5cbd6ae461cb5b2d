package compiler

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"fmt"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// wanted asks for a subset of a service to be made.
type wanted struct{ subset string }

// backend resolves a reference to a service or subset, or reports why that is impossible.
func (r *routeWork) backend(ref gatewayv1.BackendObjectReference, field element) (plan.Backend, bool) {
	b, err, reason := r.resolve(ref, field)
	if err != nil {
		f := against(v1alpha1.ConditionResolvedRefs, err)
		if reason != "" {
			f = f.because(string(reason))
		}
		r.complain(f)
		return plan.Backend{}, false
	}
	r.backends = append(r.backends, b)
	return b, true
}

func (r *routeWork) resolve(ref gatewayv1.BackendObjectReference, field element) (plan.Backend, *problem.Error, gatewayv1.RouteConditionReason) {
	namespace, kind := namespaceOf(ref.Namespace, r.key.namespace), kindService
	if ref.Kind != nil {
		kind = string(*ref.Kind)
	}
	b := plan.Backend{Weight: 1}
	switch {
	case kind == kindService && (ref.Group == nil || isService(ref.Group, ref.Kind) || *ref.Group == ""):
		b.Service = value[*plan.Service](r.work, serviceKey(namespace, string(ref.Name)))
	case kind == kindSubset && ref.Group != nil && string(*ref.Group) == v1alpha1.GroupVersion.Group:
		b.Service, b.Subset = findSubset(r.work, namespace, string(ref.Name))
	default:
		return b, problem.Unsupported.Because("%s: a backend is a Service or a Subset", field), gatewayv1.RouteReasonInvalidKind
	}
	from := reference{r.key.kind, r.key.namespace, kind, string(ref.Name)}
	if namespace != r.key.namespace && !(b.Service != nil && len(b.Service.Visible) > 0) && !permits(r.work, from, namespace) {
		return b, problem.RefNotPermitted.Because("%s: %s %s/%s", field, kind, namespace, ref.Name), ""
	}
	if b.Service == nil {
		return b, problem.BackendNotFound.Because("%s: there is no %s %s/%s%s",
			field, kind, namespace, ref.Name, lookedAt(r.work, namespace, string(ref.Name))), ""
	}
	port, err := r.backendPort(b.Service, ref.Port)
	if err != nil {
		return b, problem.BackendNotFound.Because("%s: service %s/%s %v", field, namespace, b.Service.Name, err), ""
	}
	if !r.fits(port.Protocol) {
		return b, problem.Unsupported.Because("%s: port %d of service %s/%s speaks %s, which routes of kind %s are not about",
			field, port.Number, namespace, b.Service.Name, port.Protocol, r.key.kind), gatewayv1.RouteReasonUnsupportedProtocol
	}
	b.Port = port.Number
	return b, nil, ""
}

// backendPort is the port a reference means: the one it names, or else the only one that fits.
func (r *routeWork) backendPort(s *plan.Service, number *int32) (plan.Port, error) {
	if number != nil {
		if port, is := s.Port(*number); is {
			return port, nil
		}
		return plan.Port{}, fmt.Errorf("has no port %d", *number)
	}
	var fitting []plan.Port
	for _, port := range s.Ports {
		if r.fits(port.Protocol) {
			fitting = append(fitting, port)
		}
	}
	if len(fitting) != 1 {
		return plan.Port{}, fmt.Errorf("has %d ports for kind %s: name one", len(fitting), r.key.kind)
	}
	return fitting[0], nil
}

// weightOf is the weight of a reference, 1 if it does not say.
func weightOf(ref gatewayv1.BackendRef) int32 {
	if ref.Weight == nil {
		return 1
	}
	return *ref.Weight
}

// streamRule resolves a rule of a route of connections. The share of a backend that does not
// exist is refused.
func (r *routeWork) streamRule(route metav1.Object, index int, refs []gatewayv1.BackendRef) {
	r.rules++
	field := at("spec.rules", index)
	stream := plan.Stream{Origin: origin(route, r.key.kind, field)}
	for i, ref := range refs {
		b, _ := r.backend(ref.BackendObjectReference, element{field, "backendRefs", i})
		if b.Weight = weightOf(ref); b.Weight > 0 {
			stream.Backends = append(stream.Backends, b)
		}
	}
	if len(stream.Backends) == 0 {
		stream.Backends = []plan.Backend{{Weight: 1}}
	}
	r.streams = append(r.streams, stream)
}

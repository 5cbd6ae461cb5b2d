package compiler

import (
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// DefaultGatewayClass is served without a GatewayClass object.
const DefaultGatewayClass = "isthmus"

// EastWestGatewayClass is that of gateways through which other zones reach the services of a zone. Their
// one listener is of protocol TLS, mode Passthrough.
const EastWestGatewayClass = "isthmus-east-west"

// entrance is a Gateway as routes see it.
type entrance struct {
	object *gatewayv1.Gateway
	// listeners in the order of the object; nil where one is faulty.
	listeners []*plan.Listener
}

// listenerState tells the status of a Gateway about a listener.
type listenerState struct {
	name  gatewayv1.SectionName
	kinds []gatewayv1.RouteGroupKind
}

// gateway computes unitGateway: an entrance, nil if the Gateway is not served at all.
func gateway(w *work) any {
	for m := range w.members() {
		g := m.(*gatewayv1.Gateway)
		if err := checkGateway(w, g); err != nil {
			w.report(kindGateway, g.Namespace, g.Name, *err)
			return nil
		}
		e := &entrance{object: g, listeners: listeners(w, g)}
		w.send(key{unit: unitIngress, namespace: g.Namespace, name: g.Name}, e)
		return e
	}
	return nil
}

func checkGateway(w *work, g *gatewayv1.Gateway) *finding {
	refuse := func(err *problem.Error, reason string) *finding {
		f := against(v1alpha1.ConditionAccepted, err)
		if reason != "" {
			f = f.because(reason)
		}
		return &f
	}
	switch {
	case !servedClass(w, string(g.Spec.GatewayClassName)):
		return refuse(problem.UnknownClass.Because("spec.gatewayClassName: nobody serves class %q", g.Spec.GatewayClassName), "")
	case value[*workspace](w, workspaceKey(g.Namespace)) == nil:
		return refuse(problem.NoWorkspace.Because("there is no Workspace %q", g.Namespace), "")
	case len(validation.IsDNS1123Label(g.Name)) > 0:
		return refuse(problem.Invalid.Because("the name of a Gateway is one DNS label, which %q is not", g.Name), "")
	case len(g.Spec.Addresses) > 0:
		return refuse(problem.Unsupported.Because("spec.addresses: a gateway listens where its machine does"),
			string(gatewayv1.GatewayReasonUnsupportedAddress))
	case g.Spec.TLS != nil:
		return refuse(problem.Unsupported.Because("spec.tls: certificates of clients are not checked"),
			string(gatewayv1.GatewayReasonInvalidParameters))
	}
	return nil
}

// servedClass says whether a class is ours.
func servedClass(w *work, name string) bool {
	if class := value[*gatewayv1.GatewayClass](w, inputKey(kindGatewayClass, "", name)); class != nil {
		return class.Spec.ControllerName == ControllerName
	}
	return name == DefaultGatewayClass || name == EastWestGatewayClass
}

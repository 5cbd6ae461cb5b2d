package compiler

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/isthmus-mesh/isthmus/api/direct"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
)

// The kinds of the input, beside [KindDiscovered], [KindEdges] and [KindDiscoveredGateways].
const (
	kindTenant        = "Tenant"
	kindWorkspace     = "Workspace"
	kindZone          = "Zone"
	kindService       = "Service"
	kindSubset        = "Subset"
	kindTrafficPolicy = "TrafficPolicy"
	kindJoinToken     = "JoinToken"
	kindGatewayClass  = "GatewayClass"
	kindGateway       = "Gateway"
	kindHTTPRoute     = "HTTPRoute"
	kindGRPCRoute     = "GRPCRoute"
	kindTLSRoute      = "TLSRoute"
	kindTCPRoute      = "TCPRoute"
	kindGrant         = "ReferenceGrant"
	kindSecret        = "Secret"
	kindConfigMap     = "ConfigMap"
)

// takes says whether an object is of a kind the compiler knows, and of the Go type that belongs to it.
func takes(kind string, object any) bool {
	switch object.(type) {
	case *Discovered:
		return kind == KindDiscovered
	case *Edges:
		return kind == KindEdges
	case *DiscoveredGateways:
		return kind == KindDiscoveredGateways
	case *v1alpha1.Tenant:
		return kind == kindTenant
	case *v1alpha1.Workspace:
		return kind == kindWorkspace
	case *v1alpha1.Zone:
		return kind == kindZone
	case *v1alpha1.Service:
		return kind == kindService
	case *v1alpha1.Subset:
		return kind == kindSubset
	case *v1alpha1.TrafficPolicy:
		return kind == kindTrafficPolicy
	case *v1alpha1.JoinToken:
		return kind == kindJoinToken
	case *gatewayv1.GatewayClass:
		return kind == kindGatewayClass
	case *gatewayv1.Gateway:
		return kind == kindGateway
	case *gatewayv1.HTTPRoute:
		return kind == kindHTTPRoute
	case *gatewayv1.GRPCRoute:
		return kind == kindGRPCRoute
	case *gatewayv1.TLSRoute:
		return kind == kindTLSRoute
	case *gatewayv1.TCPRoute:
		return kind == kindTCPRoute
	case *gatewayv1.ReferenceGrant:
		return kind == kindGrant
	case *direct.Object:
		return direct.Is(kind)
	case *corev1.Secret:
		return kind == kindSecret
	case *corev1.ConfigMap:
		return kind == kindConfigMap
	}
	return false
}

// input sends an object to the units that are about it. Its value is the object, and stays.
func input(w *work) any {
	k := w.node.key
	if w.node.value == nil {
		return nil
	}
	switch object := w.node.value.(type) {
	case *Discovered:
		w.send(serviceKey(k.namespace, k.name), object)
		w.send(key{unit: unitPopulation, namespace: k.namespace}, object)
		w.send(statusKey(k.kind, k.namespace, k.name), subject{})
	case *Edges:
		w.send(key{unit: unitZoneInfo, name: k.name}, object)
	case *v1alpha1.Workspace:
		inputWorkspace(w, object)
	case *v1alpha1.Zone:
		inputZone(w, object)
		w.send(key{unit: unitReach, part: object.Name}, object.Name)
		w.send(key{unit: unitZoneInfo, name: object.Name}, object)
	case *v1alpha1.Service:
		inputService(w, object)
	case *v1alpha1.Subset:
		w.send(serviceKey(k.namespace, object.Spec.Service), object)
		w.send(key{unit: unitNarrowed, namespace: k.namespace}, true)
	case *v1alpha1.TrafficPolicy:
		inputPolicy(w, object)
	case *v1alpha1.JoinToken:
		w.send(key{unit: unitToken, name: object.Name}, object)
		w.send(key{unit: unitReach, part: object.Spec.Zone}, "")
	case *gatewayv1.Gateway:
		w.send(key{unit: unitGateway, namespace: k.namespace, name: k.name}, object)
	case *gatewayv1.HTTPRoute, *gatewayv1.GRPCRoute, *gatewayv1.TLSRoute, *gatewayv1.TCPRoute:
		w.send(key{unit: unitRoute, kind: k.kind, namespace: k.namespace, name: k.name}, object)
	case *direct.Object:
		w.send(key{unit: unitDirect, kind: k.kind, namespace: k.namespace, name: k.name}, object)
	case *gatewayv1.ReferenceGrant:
		w.send(key{unit: unitGrants, namespace: k.namespace}, object)
	}
	if object, is := w.node.value.(metav1.Object); is && hasStatus(object) {
		w.send(statusKey(k.kind, k.namespace, k.name), subject{generation: object.GetGeneration()})
	}
	return w.node.value
}

// hasStatus says whether it is for the compiler to speak about an object.
func hasStatus(object metav1.Object) bool {
	switch object := object.(type) {
	case *corev1.Secret, *corev1.ConfigMap, *gatewayv1.ReferenceGrant:
		return false
	case *gatewayv1.GatewayClass:
		return object.Spec.ControllerName == ControllerName
	}
	return true
}

func inputZone(w *work, zone *v1alpha1.Zone) {
	w.send(key{unit: unitFleet}, zone.Name)
	if isBridged(zone) {
		w.send(key{unit: unitFleet, part: fleetBridged}, zone.Name)
	}
	if zone.Spec.Type == v1alpha1.ZoneKubernetes {
		if zone.Spec.Trust != nil {
			w.send(key{unit: unitTrust}, zone)
		}
		return
	}
	w.send(key{unit: unitFleet, part: fleetMachines}, zone.Name)
	w.send(key{unit: unitReach}, zone.Name)
	w.send(key{unit: unitMesh}, zone.Name)
}

func inputWorkspace(w *work, ws *v1alpha1.Workspace) {
	w.send(workspaceKey(ws.Name), ws)
	contend(w, ws)
	w.send(key{unit: unitReach, namespace: ws.Name}, ws)
	w.send(key{unit: unitSites, namespace: ws.Name}, ws)
	w.send(key{unit: unitSidecar, namespace: ws.Name}, ws)
	for _, pattern := range ws.Spec.Hostnames {
		w.send(key{unit: unitClaim, part: pattern}, ws)
	}
	for _, imported := range ws.Spec.Imports {
		w.send(key{unit: unitImporters, namespace: imported}, ws.Name)
	}
}

func inputService(w *work, s *v1alpha1.Service) {
	w.send(serviceKey(s.Namespace, s.Name), s)
	for _, host := range s.Spec.Hosts {
		w.send(aliasKey(s, host), s)
	}
}

func inputPolicy(w *work, p *v1alpha1.TrafficPolicy) {
	w.send(key{unit: unitPoliced, namespace: p.Namespace}, true)
	for _, target := range p.Spec.TargetRefs {
		w.send(policyKey(targetKind(target), p.Namespace, target.Name), p)
	}
}

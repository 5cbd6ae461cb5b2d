package hub

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/api/direct"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler"
)

// Kinds that the hub treats in a way of their own.
const (
	kindZone      = "Zone"
	kindJoinToken = "JoinToken"
	kindGateway   = "Gateway"
)

// isRoute tells whether a kind has a status by parent.
func isRoute(kind string) bool {
	switch kind {
	case "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute":
		return true
	}
	return false
}

// travels tells whether objects of a kind end up in proxies, and so are Programmed or not.
func travels(kind string) bool {
	switch kind {
	case "Service", "Subset", "TrafficPolicy", kindGateway:
		return true
	}
	return isRoute(kind) || direct.Is(kind)
}

// hasStatus tells whether the hub says something on objects of a kind.
func hasStatus(kind string) bool {
	switch kind {
	case "Tenant", "Workspace", kindZone, "GatewayClass":
		return true
	}
	return travels(kind)
}

// accepted tells whether an object takes part in the plan.
func accepted(said compiler.ObjectStatus) bool {
	c := find(said.Conditions, v1alpha1.ConditionAccepted)
	return c == nil || c.Status == metav1.ConditionTrue
}

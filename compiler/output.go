package compiler

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// ControllerName is the name of this controller in the status of Gateway API objects, and the one
// a GatewayClass names to have its Gateways served.
const ControllerName gatewayv1.GatewayController = "isthmus.dev/hub"

// Output is what one [Compiler.Apply] changed.
type Output struct {
	Revision int64
	// Zones holds a delta for every zone whose configuration changed, by zone name. A zone that
	// was deleted has all its resources in Removed.
	Zones map[string]*ZoneDelta
	// Statuses of the objects whose status changed, sorted by kind, namespace and name. Deleted
	// objects have none.
	Statuses []ObjectStatus
}

// ZoneDelta is the change of one zone's configuration, both parts sorted by name.
type ZoneDelta struct {
	// Upserts are new resources and those with a new version.
	Upserts []*feedpb.Resource
	// Removed are names.
	Removed []string
}

// ObjectStatus is what the compiler says of one object.
type ObjectStatus struct {
	Kind, Namespace, Name string
	// Generation of the object that this is about.
	Generation int64
	// Conditions without LastTransitionTime, sorted by type. Of a route they sum up Parents.
	Conditions []metav1.Condition
	// Parents of a route, one entry a parentRef; conditions without times.
	Parents []gatewayv1.RouteParentStatus
	// Listeners of a Gateway; conditions without times.
	Listeners []gatewayv1.ListenerStatus
	// Zones whose proxies the object concerns, sorted.
	Zones []string
	// Resources it takes part in, sorted by name.
	Resources []string
}

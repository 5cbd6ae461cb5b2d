package compiler

// Change is one object of intent or inventory put or deleted.
type Change struct {
	// Kind as in the API ("HTTPRoute"), or [KindDiscovered]. A kind the compiler does not know is ignored.
	Kind string
	// Namespace is empty for kinds of cluster scope.
	Namespace string
	Name      string
	// Object is a pointer to the API type, or a [*Discovered]; nil deletes. The compiler keeps
	// it: the caller must not change it afterwards.
	Object any
}

// KindDiscovered is the kind of a [Discovered] service in a [Change] and in an [ObjectStatus].
const KindDiscovered = "DiscoveredService"

// Discovered is what the workloads of one service say together: the inventory's part of the
// input. Its Change has namespace Workspace and name Name.
type Discovered struct {
	Workspace, Name string
	// Ports served by any workload.
	Ports []DiscoveredPort
	// Versions and Zones seen, without empty ones.
	Versions, Zones []string
	// Labels are the distinct label sets of the workloads, for selectors.
	Labels []map[string]string
}

// DiscoveredPort is a port of a discovered service.
type DiscoveredPort struct {
	Port int32
	// Protocol is http, http2, grpc, tcp or tls; anything else is reported and left out.
	Protocol string
}

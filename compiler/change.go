package compiler

// Change is one object of intent or inventory put or deleted.
type Change struct {
	// Kind as in the API ("HTTPRoute"), [KindDiscovered], [KindEdges] or [KindDiscoveredGateways]. A kind the compiler
	// does not know is ignored.
	Kind string
	// Namespace is empty for kinds of cluster scope.
	Namespace string
	Name      string
	// Object is a pointer to the API type, a [*Discovered], [*Edges] or [*DiscoveredGateways]; nil deletes. The
	// compiler keeps it: the caller must not change it afterwards.
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
	// Places are the zones it lives in, sorted by zone.
	Places []DiscoveredPlace
}

// DiscoveredPlace is what the workloads of one zone say together.
type DiscoveredPlace struct {
	Zone string
	// Alive is whether one of them is healthy.
	Alive bool
	// Versions and SPIFFE Identities seen, sorted; no identities means the usual one.
	Versions, Identities []string
	// Selector by which a cluster picks the pods; nil on machines.
	Selector map[string]string
	// Ports are the protocols by port, as in [DiscoveredPort].
	Ports map[int32]string
	// Targets are the pods' ports by port, where they differ.
	Targets map[int32]int32
}

// KindEdges is the kind of the [Edges] of a zone in a [Change], whose name is the zone's.
const KindEdges = "Edges"

// Edges are the edges of a zone that agents can reach, sorted by name.
type Edges struct{ Edges []Edge }

// Edge is one of them.
type Edge struct {
	Name string
	// Addresses as "host:port".
	Addresses []string
}

// KindDiscoveredGateways is the kind of the [DiscoveredGateways] of a zone in a [Change], whose name is the zone's.
const KindDiscoveredGateways = "DiscoveredGateways"

// DiscoveredGateways are the east-west gateways found in a cluster, sorted by namespace and name.
type DiscoveredGateways struct{ Gateways []DiscoveredGateway }

// DiscoveredGateway is one of them, a Service.
type DiscoveredGateway struct {
	Namespace, Name string
	// Port of the Service.
	Port int32
	// Selector by which it picks its pods.
	Selector map[string]string
	// Addresses at which other zones reach it, "host:port"; none while it has none.
	Addresses []string
}

// DiscoveredPort is a port of a discovered service.
type DiscoveredPort struct {
	Port int32
	// Protocol is http, http2, grpc, tcp or tls; anything else is reported and left out.
	Protocol string
}

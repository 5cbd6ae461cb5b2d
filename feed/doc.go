// Package feed is the line between the hub and its edges, both ends side by side. Edges dial out;
// nothing dials in.
//
// Down go revisions: the state of a zone at one revision of the hub's storage. A revision may travel
// in several parts but is applied as a whole or not at all. The [Server] keeps, for every zone, the
// newest state and, for every stream, which resources the edge is known to have; what it sends is the
// difference of the two at that moment. So revisions that an edge is too slow to see coalesce, a slow
// edge delays nobody else, and an edge that comes back with what it had is sent only what changed.
//
// Up go reports: workloads, receipts, rejections, conditions. The [Client] merges what waits by key,
// has one message on its way at a time, and begins each connection with the whole inventory.
//
// An edge is who its certificate says: it gets its own zone's configuration and speaks for itself only.
//
// A Server's methods may be called from any goroutine; each of its streams is served by the one
// goroutine gRPC gives it. A Client's methods may be called from any goroutine while Run runs.
package feed

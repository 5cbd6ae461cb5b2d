// Package relay stands between the machine's Envoy and the zone's edges. Envoy dials the relay on a
// Unix socket and speaks delta xDS; the relay dials an edge and speaks the same. To the relay a
// resource is a name, a version and bytes.
//
// Why it exists: Envoy's stream lives as long as Envoy, whichever edge answers or none; and what
// Envoy last accepted is kept on disk, so that a rebooted machine serves before any edge does.
//
// Vocabulary: the holdings are the resources that Envoy accepted, with their versions. A flight is a
// response on its way through Envoy, until Envoy answers it.
//
// Invariants:
//  1. Only what Envoy acknowledged enters the holdings, and only the holdings go to disk.
//  2. An edge hears an acknowledgement only after Envoy gave it, so that a receipt means Envoy.
//  3. The stream to an edge lives within one stream of Envoy: an edge counts as connected the
//     proxies that are, not their agents.
//  4. A new stream to an edge states the versions of the holdings; the edge sends what differs.
//     What Envoy has and the holdings lack is stated as [unknownVersion], so that it comes again.
//  5. An Envoy that starts is answered from the holdings at once and hears of changes after. It may
//     see for some milliseconds what was true when the machine was last connected.
//  6. Nothing is sent from the holdings that is older than a flight.
//
// exchange is the deterministic core: messages in, messages out, under one lock. [Relay] is its shell.
// All methods of [Relay] may be called from any goroutine.
package relay

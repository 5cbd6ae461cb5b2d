// Package compiler turns intent and inventory into the configuration of every zone.
//
// It is a pure, incremental machine: [Compiler.Apply] takes the objects that changed and returns
// the resources and statuses that changed because of them. There is no clock, no I/O and no
// goroutine in it, and the result depends on the objects only, never on the order in which they
// came: it equals compiling everything from scratch.
//
// # How it works
//
// The work is cut into units: a service, a route, the virtual host of a gateway, the status of an
// object. A unit is computed by one function from its members (what other units sent it) and from
// units it reads; the graph (graph.go) records both, so that a change reaches exactly the units
// that depend on it, and stops where a result stays the same. Units stand in a fixed order
// (unit.go) and only read units before them.
//
//	objects ─► workspaces, services, policies, gateways ─► routes ─► Istio objects ─► zones
//	                                       └────────── findings ──────────► statuses
//
// The middle form, package plan, is vendor-free; package istio turns it into Istio's objects.
//
// # Bad input
//
// Nothing fails. A unit that meets something wrong sends a finding to the status of the object
// that caused it, leaves that part out, and goes on.
//
// # Concurrency
//
// A Compiler belongs to one goroutine. What it returns is never changed afterwards.
package compiler

// Package hub is the management program: it keeps intent, compiles it, feeds it to the edges and
// says on every object what became of it.
//
//	apiserver.Stream ─► intake ─┐                       ┌─► feed.Publish, per zone ─► edges
//	                            ├─► pipeline (compiler) ┤
//	inventory (shapes) ─────────┘                       └─► ledger ─► writers ─► status of objects
//	edges ─► reports, receipts, refusals ─► inventory ──────►┘
//
// One goroutine, the pipeline, owns the compiler: it takes what was written since the last time,
// all kinds at one revision, and publishes what follows from it. It never waits for the status of an
// object to be written, nor for an edge. The revision it publishes is etcd's; where only the inventory changed,
// the next number. It never goes back, not over restarts either.
//
// The ledger knows for every object what has to be said of it: what the compiler found, what proxies
// refused, and whether every proxy concerned runs it. A few writers bring the storage to that state,
// bounded in rate, and write nothing that is there already.
//
// Newcomers are admitted by join tokens (admission.go), which are used up by a conditional write: of
// two keys that present one token at the same instant, one wins.
//
// [Run] is all there is to call. It starts everything and returns when all of it has ended: feed,
// pipeline and writers first, the API and its storage last.
package hub

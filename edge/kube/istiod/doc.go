// Package istiod is the door to the debug interface of a cluster's istiod: what it has in store, how far its pushes
// are, and what its proxies acknowledged.
//
// istiod offers no receipts, so they are concluded ([docs/adr/0011-receipts-from-istiod.md]). Words used here:
//   - A push is one state of the whole configuration on its way to all proxies. One istiod process counts its pushes;
//     a proxy gets them in order, and may skip some.
//   - A mark is an object of ours that changes nothing for anybody. A [Stream] poses as a proxy that is concerned, and
//     so tells with which push a mark left: everything that was in store before leaves with that push at the latest.
//   - A [Passage] follows the push that a proxy works on.
//
// Nothing here decides what follows from it, nor writes into the cluster.
package istiod

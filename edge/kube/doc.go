// Package kube is the door to a Kubernetes cluster that runs Istio already: it writes the zone's
// configuration as Istio objects, keeps them as they should be, and tells what runs there. The cluster's
// own istiod stays in charge of its proxies.
//
// Down: [Cluster.Apply] takes revisions of the feed, and workers bring the cluster to that state by
// server-side apply. Up: [Events] hears of workloads, refusals, drift and the newest revision applied.
//
// Invariants:
//  1. Ours is what carries both labels, [ManagedBy] and [ZoneLabel] of this zone. Nothing else is ever
//     changed or deleted; where such an object is in the way, that is reported and ours waits.
//  2. What is there already costs no request: the caches of watches are compared first.
//  3. One object that cannot be written delays no other; each has its own retries.
//  4. What others change or delete of ours is put back at once, and reported with who and when. Taking
//     the labels away is the way to take an object over: from then on it is in the way.
//  5. Nothing is deleted before the first Apply, nor while not leading.
//  6. An endpoint's change is told in the call that brings it.
//  7. What proxies are said to have, they acknowledged: where an istiod does not answer, nothing is said.
//  8. What a proxy refuses is put back to what was there, with the destinations that needs, and nothing else is.
//
// How it is built: a table is what a watch has seen of one kind, stripped to what is compared. Changes of
// tables and calls of Apply put names into a queue; reconciling a name looks at what is wanted and what is
// there, and makes at most one step. The inventory is another reader of tables, without a queue. A survey follows what was written
// through the istiods to the proxies (survey.go, link.go), and what those refuse is contained (contain.go, trial.go, keep.go).
//
// A Cluster's methods may be called from any goroutine.
package kube

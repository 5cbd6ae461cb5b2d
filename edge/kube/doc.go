// Package kube is the door to a Kubernetes cluster that runs Istio already: it brings Istio's objects in the
// cluster to what the hub wants of the zone, keeps them so, and tells what runs there.
//
// Invariants:
//  1. What is not ours is not touched. Ours is what carries both labels of [Config.Zone]; an object of the same
//     kind, namespace and name without them is in the way: it stays, and the intent that wanted the place is
//     told.
//  2. One object that cannot be written stops no other.
//  3. Nothing is written that the cluster has already: what is there is read from a cache first.
//  4. What somebody changes behind our back is put back at once, and told with who changed it.
//  5. Nothing is removed before the whole of a revision is known.
//
// [Cluster.Apply] takes revisions; [Cluster.Run] does the work. Writers take names of objects from one queue,
// which keeps an object out of two hands, and repeats what failed, later each time. Whatever changes, in the
// intent or in the cluster, is a name in that queue.
//
// Events are told from the writers' and watchers' goroutines and must not block.
package kube

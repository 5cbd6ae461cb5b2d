// Package pilot is the door to Istio's Pilot: it turns the zone's configuration and workloads into what
// Envoys understand, and serves it to them. Nothing else in Isthmus imports Istio's control plane.
//
// Two inputs meet here. [Pilot.Apply] brings configuration, a revision at a time: Istio objects and
// secrets. [Pilot.SetWorkloads] brings the zone's own workloads, which are the endpoints of services
// whose selector matches and the nodes that proxies may claim to be.
//
// Invariants:
//  1. A revision is seen by proxies as a whole or not at all.
//  2. Nothing waits: each change is pushed by the call that makes it; there is no debouncing.
//  3. A change of health reaches proxies as endpoints only.
//  4. What a proxy is, is read from the workload table, never from what the proxy says. Its
//     certificate must be that workload's.
//  5. A client that states what it has, or has just been sent it, is not sent the same again.
//  6. A resource that a proxy rejects goes back to its last good version alone; everything else
//     continues, and proxies that start later never see the refused version, restarts included.
//
// How it is built: [Pilot] holds the state under one lock (mu). store, registry and secrets answer the
// questions Istio asks while it generates; they have locks of their own, which are leaves. Every proxy has a
// stream, between gRPC and Istio: it replaces the node, numbers what is sent, swallows acknowledgements
// (Istio needs none) and drops what did not change. Streams report to the Pilot through queues, so no
// stream ever waits for another.
//
// Istio is configured through package variables, so a process can have one Pilot at a time.
package pilot

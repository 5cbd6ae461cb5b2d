// Package apiserver is the one door to the Kubernetes API server and to etcd: the hub's API.
//
// It serves, from one process and one port:
//   - the intent kinds as custom resources: isthmus.dev and gateway.networking.k8s.io, whose
//     definitions (package api/crd) it applies itself at every start;
//   - the few core kinds that clients of a Kubernetes API expect: Namespace, Secret (encrypted at
//     rest), ConfigMap, ServiceAccount, Event, Lease, the access reviews and the admission policies,
//     with Kubernetes' own storages;
//   - the views, view.isthmus.dev, read-only, from memory: see [View].
//
// Storage is etcd: one member inside this process, reached over a Unix socket that only this user
// may open, or an external cluster. Everything lies below [Prefix].
//
// [Server.Stream] tells the rest of the hub what was written: every change of intent, of all kinds,
// in the order of the one revision counter of etcd. It never mixes two states.
//
// What a request may do is decided by an [Authorizer]; without one only administrators may do
// anything. Objects with ownerReferences are refused, because nothing here would act on them.
// Deleting a namespace empties it. A Workspace has the namespace of its name; see workspace.go.
//
// # Use
//
// [Open] prepares, [Server.Run] serves until its context ends and then closes everything, in the
// order API server, clients, etcd; [Server.Ready] is closed when every kind can be used. All methods
// of Server and View may be called from any goroutine, those of Server that speak to the API only
// between Ready and the end of Run.
//
// Kubernetes' libraries log through process-wide state (klog) and count in process-wide registries
// (the one of k8s.io/component-base and Prometheus' default one); the first Open sets the former, and
// /metrics serves both.
package apiserver

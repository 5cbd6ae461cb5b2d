// Package edge is the control plane of one zone: of machines, or a Kubernetes cluster.
//
// An edge has a data directory and five parts, each with a file or folder of its own:
//
//   - credentials (credentials.go, join.go, renew.go): who the edge is, and the authority with which it
//     vouches for the zone's workloads; from the hub, by join token, then renewed.
//   - [bundle]: what the hub last told it, kept on disk.
//   - [admission]: exchanges workloads' tokens for certificates.
//   - [roster]: the zone's workloads as their agents describe them, kept on disk.
//   - [pilot]: serves Envoys what follows from bundle and roster.
//
// In a zone that is a cluster, [kube] stands for the last three: it writes the bundle as Istio objects and tells
// what runs there (cluster.go).
//
// [Run] starts them in this order and connects them. None needs the hub after the first start: the edge
// owns its zone's endpoints, and restarts from its disk with the hub away. A full or damaged disk
// stops nothing either; it becomes a condition, which the hub and the status page show.
//
// [bundle]: https://pkg.go.dev/github.com/isthmus-mesh/isthmus/edge/bundle
// [admission]: https://pkg.go.dev/github.com/isthmus-mesh/isthmus/edge/admission
// [roster]: https://pkg.go.dev/github.com/isthmus-mesh/isthmus/edge/roster
// [pilot]: https://pkg.go.dev/github.com/isthmus-mesh/isthmus/edge/pilot
// [kube]: https://pkg.go.dev/github.com/isthmus-mesh/isthmus/edge/kube
package edge

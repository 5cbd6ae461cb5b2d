// Package inventory is what the zones report: workloads, the services they make, proxies and the
// revision each runs, and what proxies refused.
//
// It is live state, held in memory, owned by the edges: an edge's first report of a connection
// replaces what it said before. An edge that goes away keeps its workloads here, shown as not connected. Of the
// edges of a cluster one leads and tells all workloads; what the others do not mention is not gone.
//
// What the compiler sees of it is only the shape of services, [compiler.Discovered]: ports, versions,
// zones, labels, and whether a zone has a healthy workload. Health and the coming and going of single
// workloads, but the first and the last of a zone, change no shape. A shape outlives the last
// workload that gave it by [Config.Linger], and is kept in a file, so that neither a restart of the hub
// nor an edge that starts empty withdraws a service while its workloads find their way back.
//
// The views of view.isthmus.dev are made from it, a moment after each report, by [Inventory.Run].
//
// All methods may be called from any goroutine, except Take and Save, which belong to the compile
// loop. [Events] are called without locks held.
package inventory

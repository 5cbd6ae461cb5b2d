package inventory

import "github.com/isthmus-mesh/isthmus/feed/feedpb"

// A service of a cluster that has no pods is a service all the same: it has the shape that its Kubernetes Service gives,
// in a place that is not alive, so that its callers are led to other zones. It is counted as a workload that never is
// healthy, and shown as none.

// hearIdle takes the services without pods that a report of the cluster names, all of them. Without a cluster there are
// none.
func (i *Inventory) hearIdle(zone string, z *zoneRecord, said *feedpb.Cluster) {
	before := z.idle
	z.idle = nil
	for _, s := range said.GetIdle() {
		shape := &feedpb.Workload{Workspace: s.Workspace, Service: s.Service, Ports: s.Ports, Selector: s.Selector}
		z.idle = append(z.idle, shape)
		i.shapes.add(zone, shape)
	}
	for _, shape := range before {
		i.shapes.remove(zone, shape)
	}
}

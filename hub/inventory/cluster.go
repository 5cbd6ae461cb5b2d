package inventory

import (
	"google.golang.org/protobuf/proto"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// cluster is what an edge said of the cluster that its zone is; nil when it is none.
type cluster struct {
	edge string
	said *feedpb.Cluster
}

// Cluster returns what the leading edge of a zone says of its cluster: nil if there is none to speak of. It is
// false while that is not known, as after the start of the hub. What was said stays while the edge is away.
func (i *Inventory) Cluster(zone string) (said *feedpb.Cluster, known bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	z := i.zones[zone]
	if z == nil || z.cluster == nil {
		return nil, false
	}
	return z.cluster.said, true
}

// hearCluster takes what a report says of the cluster, and tells whether that is something else than before.
// An edge that answers for its own workloads only is one of machines.
func (z *zoneRecord) hearCluster(edge string, report *feedpb.ReportRequest) bool {
	machines := report.Reset_ && report.Extent == feedpb.ReportRequest_OWN
	if report.Cluster == nil && !machines {
		return false
	}
	before := z.cluster
	z.cluster = &cluster{edge, report.Cluster}
	z.hearGateways(report.Cluster)
	return before == nil || !proto.Equal(before.said, report.Cluster)
}

// forgetCluster drops what was said by an edge that is forgotten.
func (z *zoneRecord) forgetCluster() {
	if z.cluster != nil && z.edges[z.cluster.edge] == nil {
		z.cluster.said = nil
	}
}

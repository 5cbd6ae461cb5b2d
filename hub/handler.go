package hub

import (
	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/hub/inventory"
)

// handler is what the hub does with what edges ask (admission) and say (inventory).
type handler struct {
	*admission
	*inventory.Inventory
	metrics *metrics
}

var _ feed.Handler = handler{}

// EdgeConnected notes that an edge listens.
func (h handler) EdgeConnected(zone, edge string, hello *feedpb.ConfigureRequest_Hello) {
	h.log.Info("hub: edge connected", "zone", zone, "edge", edge, "version", hello.Version, "revision", hello.Revision)
	h.Inventory.EdgeConnected(zone, edge, hello)
	h.count(zone)
}

// EdgeGone notes that an edge went away.
func (h handler) EdgeGone(zone, edge string) {
	h.log.Warn("hub: edge gone", "zone", zone, "edge", edge)
	h.Inventory.EdgeGone(zone, edge)
	h.count(zone)
}

func (h handler) count(zone string) {
	h.metrics.edges.WithLabelValues(zone).Set(float64(len(h.Edges(zone).Connected)))
}

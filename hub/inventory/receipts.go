package inventory

import (
	"math"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// receive takes receipts: for each proxy the newest revision it acknowledged.
func (i *Inventory) receive(zone string, z *zoneRecord, edge string, receipts []*feedpb.Receipt) {
	for _, r := range receipts {
		for _, name := range r.Proxies {
			if r.Gone {
				if z.proxies[name].edge == edge {
					delete(z.proxies, name)
				}
			} else {
				z.proxies[name] = proxy{edge, r.Revision}
			}
			i.redisplayProxy(zone, z, name)
		}
	}
	if len(receipts) > 0 {
		i.views.revision(zone)
	}
}

// Floor is the revision that every connected edge and every connected proxy of a zone runs at
// least; ok is false while no edge of the zone can tell.
func (i *Inventory) Floor(zone string) (revision int64, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	z := i.zones[zone]
	if z == nil || !i.reporting(zone) {
		return 0, false
	}
	revision = math.MaxInt64
	for _, e := range z.edges {
		if e.connected {
			revision = min(revision, e.accepted)
		}
	}
	for _, p := range z.proxies {
		if z.edge(p.edge).connected {
			revision = min(revision, p.revision)
		}
	}
	return revision, true
}

// Progress is how far a revision has travelled in a zone.
type Progress struct {
	// Edges is how many are connected; EdgeBehind is one that has not accepted the revision, or has not reported.
	Edges      int
	EdgeBehind string
	// Proxies is how many are connected, Behind how many of them have not acknowledged the revision;
	// FirstBehind is the first of those by name.
	Proxies, Behind int
	FirstBehind     string
}

// Progress returns how far a revision has travelled in a zone.
func (i *Inventory) Progress(zone string, revision int64) Progress {
	i.mu.Lock()
	defer i.mu.Unlock()
	var p Progress
	z := i.zones[zone]
	if z == nil {
		return p
	}
	for name, e := range z.edges {
		if !e.connected {
			continue
		}
		p.Edges++
		if e.accepted < revision || !e.reported {
			p.EdgeBehind = name
		}
	}
	for name, proxy := range z.proxies {
		if !z.edge(proxy.edge).connected {
			continue
		}
		p.Proxies++
		if proxy.revision < revision {
			p.Behind++
			if p.FirstBehind == "" || name < p.FirstBehind {
				p.FirstBehind = name
			}
		}
	}
	return p
}

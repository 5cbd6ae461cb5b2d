package compiler

import (
	"slices"
	"strings"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// path is one way from a zone into another, for the edge to try.
type path struct{ zone, address string }

// sendPaths tells each zone of a workspace how the workspace's other zones are entered from it, and which of these
// have trust domains of their own.
func sendPaths(w *work, all sites) {
	trusted := trustOf(w)
	for from := range all {
		for to := range all {
			if from == to {
				continue
			}
			if domain := trusted.of(all[to].Zone); domain != nil {
				w.send(key{unit: unitZoneInfo, name: all[from].Zone}, domain)
			}
			for _, g := range all[to].Gateways {
				w.send(key{unit: unitZoneInfo, name: all[from].Zone}, path{all[to].Zone, g.String()})
			}
		}
	}
}

// toPaths sorts paths by zone and address; several workspaces may have sent the same.
func toPaths(all []path) (out []*feedpb.Path) {
	slices.SortFunc(all, func(a, b path) int { return strings.Compare(a.zone+" "+a.address, b.zone+" "+b.address) })
	for _, p := range slices.Compact(all) {
		if len(out) == 0 || out[len(out)-1].Zone != p.zone {
			out = append(out, &feedpb.Path{Zone: p.zone})
		}
		out[len(out)-1].Addresses = append(out[len(out)-1].Addresses, p.address)
	}
	return out
}

package edge

import (
	"maps"
	"slices"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// events reports to the hub what proxies make of their configuration; it is a pilot.Events.
type events struct {
	report func(*feedpb.ReportRequest)
}

// Receipt implements pilot.Events.
func (e events) Receipt(revision int64, proxies []string) {
	e.report(&feedpb.ReportRequest{Receipts: []*feedpb.Receipt{{Revision: revision, Proxies: proxies}}})
}

// Gone implements pilot.Events.
func (e events) Gone(proxy string) {
	e.report(&feedpb.ReportRequest{Receipts: []*feedpb.Receipt{{Proxies: []string{proxy}, Gone: true}}})
}

// Rejected implements pilot.Events.
func (e events) Rejected(r *feedpb.Rejection) {
	e.report(&feedpb.ReportRequest{Rejections: []*feedpb.Rejection{r}})
}

// inventory is everything the edge has to report.
func (e *edge) inventory() *feedpb.ReportRequest {
	if e.cluster != nil {
		return e.clusterInventory()
	}
	all := &feedpb.ReportRequest{Reset_: true, Workloads: e.roster.Inventory(), Conditions: e.conditions.all(), ConditionsSet: true}
	if p := e.zone.pilot.Load(); p != nil {
		all.Receipts, all.Rejections = receipts(p.Receipts()), p.Rejections()
	}
	return all
}

// receipts are the proxies by newest revision.
func receipts(all map[string]int64) []*feedpb.Receipt {
	byRevision := map[int64]*feedpb.Receipt{}
	for _, proxy := range slices.Sorted(maps.Keys(all)) {
		revision := all[proxy]
		if byRevision[revision] == nil {
			byRevision[revision] = &feedpb.Receipt{Revision: revision}
		}
		byRevision[revision].Proxies = append(byRevision[revision].Proxies, proxy)
	}
	return slices.Collect(maps.Values(byRevision))
}

package inventory

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// Report folds an edge's report in. With reset it is everything the edge knows; what it leaves out of the
// zone's workloads, its extent says.
func (i *Inventory) Report(zone, name string, report *feedpb.ReportRequest) {
	var told told
	i.change(zone, func(z *zoneRecord) { told = i.fold(zone, z, name, report) })
	if len(told.rejected) > 0 {
		i.config.Events.Rejected(told.rejected)
	}
	if told.progressed {
		i.config.Events.Progressed(zone)
	}
	if told.ofItself {
		i.config.Events.ZoneChanged(zone)
	}
}

// told is what a report changed that others act upon.
type told struct {
	rejected   []Object
	progressed bool
	ofItself   bool // what the edge says of itself and its cluster
}

// fold takes refusals before receipts: what a proxy refused must not look programmed, not even for a moment.
func (i *Inventory) fold(zone string, z *zoneRecord, name string, report *feedpb.ReportRequest) told {
	e := z.edge(name)
	t := told{progressed: report.Reset_ || len(report.Receipts) > 0}
	if report.Reset_ {
		e.reported = false
		i.resetProxies(zone, z, name)
		t.rejected = i.refusals.reset(edgeKey{zone, name}, report.Rejections)
	} else {
		t.rejected = i.refusals.take(edgeKey{zone, name}, report.Rejections)
	}
	whole := isWhole(report)
	if whole {
		e.reported = true
		i.resetWorkloads(zone, z, name, report)
	}
	for _, w := range report.Workloads {
		i.put(zone, z, name, w)
	}
	for _, w := range report.WorkloadsGone {
		i.remove(zone, z, name, w)
	}
	if whole {
		i.shapes.hear(zone)
	}
	i.receive(zone, z, name, report.Receipts)
	if t.ofItself = z.hearCluster(name, report); t.ofItself {
		i.hearIdle(zone, z, report.Cluster)
		i.enrol(zone)
	}
	if report.ConditionsSet {
		t.ofItself = t.ofItself || !slices.EqualFunc(e.conditions, report.Conditions, equal)
		e.conditions = report.Conditions
	}
	if i.shapes.dirty() {
		i.notify()
	}
	i.redisplayRefused(zone, z, report.Rejections)
	return t
}

func equal(a, b *feedpb.Condition) bool { return proto.Equal(a, b) }

// isWhole is whether a workload that a report leaves out is none of its edge's. The first report of an edge
// that does not lead its cluster leaves out everything: it says nothing about what is there.
func isWhole(report *feedpb.ReportRequest) bool {
	return report.Extent == feedpb.ReportRequest_ZONE || report.Reset_ && report.Extent == feedpb.ReportRequest_OWN
}

// resetWorkloads removes what an edge answers for and no longer mentions. One that leads answers for all,
// whichever edge led before.
func (i *Inventory) resetWorkloads(zone string, z *zoneRecord, name string, report *feedpb.ReportRequest) {
	stays := make(map[string]bool, len(report.Workloads))
	for _, w := range report.Workloads {
		stays[w.Name] = true
	}
	for w, known := range z.workloads {
		if report.Extent == feedpb.ReportRequest_ZONE {
			known.edge = name
		}
		if !stays[w] {
			i.remove(zone, z, name, w)
		}
	}
}

// resetProxies forgets the proxies of an edge, which names them anew.
func (i *Inventory) resetProxies(zone string, z *zoneRecord, name string) {
	for p, proxy := range z.proxies {
		if proxy.edge == name {
			delete(z.proxies, p)
			i.redisplayProxy(zone, z, p)
		}
	}
}

// put takes a workload as the edge describes it. Of two edges that know a workload, the one it is
// connected to answers for it.
func (i *Inventory) put(zone string, z *zoneRecord, name string, said *feedpb.Workload) {
	old := z.workloads[said.Name]
	if old != nil && old.edge != name && !said.Connected && z.edge(old.edge).connected && old.said.Connected {
		return
	}
	z.workloads[said.Name] = &workload{name, said}
	switch {
	case old == nil:
		i.shapes.add(zone, said)
	case !sameShape(old.said, said) || old.said.Healthy != said.Healthy:
		i.shapes.add(zone, said)
		i.shapes.remove(zone, old.said)
	}
	if old != nil && (old.said.Workspace != said.Workspace || old.said.Service != said.Service) {
		i.views.workload(zone, old.said)
	}
	i.views.workload(zone, said)
}

func (i *Inventory) remove(zone string, z *zoneRecord, name, workload string) {
	w := z.workloads[workload]
	if w == nil || w.edge != name {
		return
	}
	delete(z.workloads, workload)
	i.lost(zone, w)
}

func (i *Inventory) lost(zone string, w *workload) {
	i.shapes.remove(zone, w.said)
	i.views.workload(zone, w.said)
}

package edge

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/edge/kube"
	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// clusterProxy stands for the cluster itself in receipts, beside its proxies: its revision is in the cluster's API, and
// where istiods are asked they have it, and every proxy concerned is known. Where they are not, it stands for all proxies.
const clusterProxy = "cluster"

// inKubernetes is whether the edge's zone is a cluster, which needs neither agents nor Pilot.
func (c Config) inKubernetes() bool { return c.Kubeconfig != "" || c.InCluster }

// assembleCluster makes the door to the cluster; nothing is dialled yet.
func (e *edge) assembleCluster() error {
	access, err := kube.Access(e.config.Kubeconfig)
	if err != nil {
		return err
	}
	c := e.wallet.newest.Load()
	e.drifts = &drifts{conditions: e.conditions, now: e.config.Now}
	e.cluster, err = kube.New(kube.Config{
		REST: access, Zone: c.zone, TrustDomain: c.trustDomain, Roots: e.wallet.Roots, LeaseNamespace: e.config.LeaseNamespace, Identity: c.name,
		ReceiptsAccount: e.config.ReceiptsAccount, RefusedFile: filepath.Join(e.config.DataDir, "refused"), Events: clusterEvents{e}, Log: e.config.Log, Now: e.config.Now,
	})
	return err
}

// serveCluster writes the zone's configuration into the cluster, as soon as there is one.
func (e *edge) serveCluster(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return e.cluster.Run(ctx) })
	group.Go(func() error { return e.drifts.forget(ctx) })
	group.Go(func() error {
		select {
		case <-e.zone.known:
		case <-ctx.Done():
			return nil
		}
		e.zone.openCluster(e.cluster)
		e.status.ready.Store(true)
		e.config.Log.Info("configuring the cluster", "revision", e.files.bundle.Revision())
		if e.config.Ready != nil {
			e.config.Ready("")
		}
		return nil
	})
	return group.Wait()
}

// openCluster gives the cluster everything known, and every revision from now on.
func (z *zone) openCluster(c *kube.Cluster) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.cluster = c
	all := feed.Revision{Number: z.bundle.Revision()}
	z.bundle.Each("", func(r *feedpb.Resource) { all.Upserts = append(all.Upserts, r) })
	z.placeInCluster(all)
}

// placeInCluster gives the cluster its part of a revision. Caller holds mu.
func (z *zone) placeInCluster(revision feed.Revision) {
	if !z.isOf(v1alpha1.ZoneKubernetes, "a cluster") {
		return
	}
	info := z.facts.Load()
	z.cluster.SetTrust(ownTrust(info))
	z.cluster.SetClaims(claims(info))
	rest := revision.Without(ours)
	_ = z.cluster.Apply(rest.Number, rest.Upserts, rest.Removed) // what is wrong reaches the hub as rejections
}

// claims are workspaces by namespace.
func claims(info *feedpb.ZoneInfo) map[string]string {
	byNamespace := make(map[string]string, len(info.Claims))
	for _, c := range info.Claims {
		byNamespace[c.Namespace] = c.Workspace
	}
	return byNamespace
}

// clusterInventory is everything the edge has to report of a cluster. An edge that does not lead knows nothing,
// which is not to say that nothing is there.
func (e *edge) clusterInventory() *feedpb.ReportRequest {
	all := &feedpb.ReportRequest{Reset_: true, Extent: feedpb.ReportRequest_UNKNOWN, Conditions: e.conditions.all(), ConditionsSet: true}
	if workloads, known := e.cluster.Workloads(); known {
		all.Workloads, all.Extent = workloads, feedpb.ReportRequest_ZONE
	}
	all.Cluster = e.cluster.Facts()
	if e.cluster.Leading() {
		all.Receipts, all.Rejections = clusterReceipts(e.cluster), e.cluster.Rejections()
	}
	return all
}

// clusterReceipts are those of the proxies and of the cluster itself, which has revision 0 until it has one: nothing
// must look programmed only because nobody is waited for.
func clusterReceipts(c *kube.Cluster) []*feedpb.Receipt {
	all := c.Receipts()
	if all == nil {
		all = map[string]int64{}
	}
	all[clusterProxy] = c.Applied()
	return receipts(all)
}

// clusterEvents reports to the hub what happens in the cluster; it is a [kube.Events].
type clusterEvents struct{ *edge }

// Inventory implements [kube.Events].
func (e clusterEvents) Inventory(all []*feedpb.Workload) {
	e.client.Report(&feedpb.ReportRequest{Workloads: all, Extent: feedpb.ReportRequest_ZONE})
}

// Workloads implements [kube.Events].
func (e clusterEvents) Workloads(upserts []*feedpb.Workload, gone []string) {
	e.client.Report(&feedpb.ReportRequest{Workloads: upserts, WorkloadsGone: gone})
}

// Facts implements [kube.Events].
func (e clusterEvents) Facts(f *feedpb.Cluster) { e.client.Report(&feedpb.ReportRequest{Cluster: f}) }

// Rejected implements [kube.Events].
func (e clusterEvents) Rejected(r *feedpb.Rejection) {
	e.client.Report(&feedpb.ReportRequest{Rejections: []*feedpb.Rejection{r}})
}

// Applied implements [kube.Events].
func (e clusterEvents) Applied(revision int64) {
	e.Acknowledged(revision, []string{clusterProxy})
}

// Acknowledged implements [kube.Events].
func (e clusterEvents) Acknowledged(revision int64, proxies []string) {
	e.client.Report(&feedpb.ReportRequest{Receipts: []*feedpb.Receipt{{Revision: revision, Proxies: proxies}}})
}

// Gone implements [kube.Events].
func (e clusterEvents) Gone(proxies []string) {
	e.client.Report(&feedpb.ReportRequest{Receipts: []*feedpb.Receipt{{Proxies: proxies, Gone: true}}})
}

// Drifted implements [kube.Events].
func (e clusterEvents) Drifted(d kube.Drift) { e.drifts.add(d) }

// Condition implements [kube.Events].
func (e clusterEvents) Condition(place string, err *problem.Error) {
	e.conditions.set("Cluster/"+place, err)
}

// driftShown is how long a drift is shown after it was mended: long enough to be seen, not so long that
// it seems to go on.
const driftShown = 10 * time.Minute

// drifts are what others did to our objects lately, as one condition.
type drifts struct {
	conditions *conditions
	now        func() time.Time

	mu    sync.Mutex // also orders the condition
	count int
	last  time.Time
}

func (d *drifts) add(one kube.Drift) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	d.last = d.now()
	text := one.String()
	if d.count > 1 {
		text += fmt.Sprintf(", and %d times before others were", d.count-1)
	}
	d.conditions.set("Drift", problem.DriftMended.Because("%s", text))
}

// forget ends the condition in time, until ctx ends.
func (d *drifts) forget(ctx context.Context) error {
	tick := time.NewTicker(driftShown / 10)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			d.expire()
		}
	}
}

func (d *drifts) expire() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.count > 0 && d.now().Sub(d.last) > driftShown {
		d.count = 0
		d.conditions.set("Drift", nil)
	}
}

package edge

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/edge/kube"
	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// typeKubernetes is that of a zone which is a cluster, as the hub says it.
const typeKubernetes = "kubernetes"

// serveCluster configures the cluster as soon as there is a configuration, until ctx ends.
func (e *edge) serveCluster(ctx context.Context) error {
	config, err := e.clusterAccess()
	if err != nil {
		return err
	}
	select {
	case <-e.zone.known:
	case <-ctx.Done():
		return nil
	}
	c := e.wallet.newest.Load()
	e.cluster, err = kube.New(kube.Config{REST: config, Zone: c.zone, TrustDomain: c.trustDomain,
		Events: clusterEvents{e}, Now: e.config.Now, Log: e.config.Log})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return e.cluster.Run(ctx) })
	e.zone.openCluster(e.cluster)
	e.status.ready.Store(true)
	e.config.Log.Info("serving the cluster", "api", config.Host, "revision", e.files.bundle.Revision())
	if e.config.Ready != nil {
		e.config.Ready(config.Host)
	}
	return group.Wait()
}

func (e *edge) clusterAccess() (*rest.Config, error) {
	if e.config.InCluster {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("the edge runs in no pod, or one without a service account: %w", err)
		}
		return config, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", e.config.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("the cluster's kubeconfig: %w", err)
	}
	return config, nil
}

// openCluster gives the cluster everything known, and every revision from now on.
func (z *zone) openCluster(c *kube.Cluster) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.cluster.Store(c)
	all := feed.Revision{Number: z.bundle.Revision()}
	z.bundle.Each("", func(r *feedpb.Resource) { all.Upserts = append(all.Upserts, r) })
	z.placeInCluster(c, all)
}

// placeInCluster gives the cluster its part of a revision. A zone of another type has no part in it.
func (z *zone) placeInCluster(c *kube.Cluster, revision feed.Revision) {
	info, err := z.info()
	if err != nil || info.Type != typeKubernetes {
		z.conditions.set("Type", problem.ZoneTypeWrong.Because("zone %s is of type %q, and this edge configures a cluster", z.name, info.GetType()))
		return
	}
	z.conditions.set("Type", nil)
	c.SetClaims(info.Claims)
	var upserts []*feedpb.Resource
	for _, r := range revision.Upserts {
		if !ours(r.Name) {
			upserts = append(upserts, r)
		}
	}
	c.Apply(revision.Number, upserts, revision.Removed)
}

// clusterProxy stands for all proxies of a cluster: what it acknowledges is in the cluster's API server, from where
// the cluster's own istiod takes it.
const clusterProxy = "cluster"

func clusterReceipts(revision int64) []*feedpb.Receipt {
	return []*feedpb.Receipt{{Revision: revision, Proxies: []string{clusterProxy}}}
}

// clusterEvents reports to the hub what happens in the cluster; it is a [kube.Events].
type clusterEvents struct{ e *edge }

// Applied implements [kube.Events].
func (c clusterEvents) Applied(revision int64) {
	c.e.client.Report(&feedpb.ReportRequest{Receipts: clusterReceipts(revision)})
}

// Rejected implements [kube.Events].
func (c clusterEvents) Rejected(r *feedpb.Rejection) {
	c.e.client.Report(&feedpb.ReportRequest{Rejections: []*feedpb.Rejection{r}})
}

// Drifted implements [kube.Events]. What was put back stays told until the edge starts anew: somebody has to
// learn of it.
func (c clusterEvents) Drifted(d kube.Drift) {
	who := "it was removed"
	if d.Manager != "" {
		who = "it was changed by " + d.Manager
	}
	c.e.conditions.set("Drift/"+d.Resource, problem.Drifted.Because("%s: %s, seen %s", d.Resource, who, d.At.UTC().Format(time.RFC3339)))
}

// Condition implements [kube.Events].
func (c clusterEvents) Condition(place string, err *problem.Error) { c.e.conditions.set(place, err) }

// Workloads implements [kube.Events].
func (c clusterEvents) Workloads(upserts []*feedpb.Workload, gone []string) {
	c.e.client.Report(&feedpb.ReportRequest{Workloads: upserts, WorkloadsGone: gone})
}

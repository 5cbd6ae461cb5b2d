package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"path"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	edgekube "github.com/isthmus-mesh/isthmus/edge/kube"
	"github.com/isthmus-mesh/isthmus/meshtest"
)

var (
	clusterSizes   = flag.String("cluster-proxies", "1,100,1000", "numbers of simulated proxies in the cluster, ascending")
	clusterChanges = flag.Int("cluster-changes", 50, "changes measured at each size, each way")
)

// BenchmarkCluster measures what a change on the hub costs above the same change made in the cluster itself: both until
// the last proxy of the cluster's stock istiod has acknowledged, in turns. The one is an HTTPRoute, of which the
// cluster's edge makes a VirtualService, the other such a VirtualService of another service.
func BenchmarkCluster(b *testing.B) {
	w := meshtest.New(b)
	s := newStock(b, w)
	adopt(b, w, s)
	hub := hubClient(b, w)
	throughHub := func(marker string) error {
		force := true
		_, err := hub.Resource(routes).Namespace(workspace).Patch(s.ctx, hubService, types.ApplyPatchType, []byte(hubRoute(marker)),
			metav1.PatchOptions{FieldManager: fieldName, Force: &force})
		return err
	}
	meshtest.Eventually(b, "the hub takes a route", func() error { return throughHub("bench-start") })
	defer func() {
		if b.Failed() {
			b.Log(w.TryKubectl("get", "services.view.isthmus.dev,workloads.view.isthmus.dev,workspace,zone", "-A", "-o", "yaml"))
		}
	}()
	w.Programmed(workspace, "httproute/"+hubService)
	for _, size := range numbers(*clusterSizes) {
		s.grow(size)
		s.time(s.change)
		s.time(throughHub) // after these every proxy has both routes
		var direct, through []float64
		for range *clusterChanges {
			direct, through = append(direct, s.time(s.change)), append(through, s.time(throughHub))
		}
		b.Logf("%d proxies: on the hub p50 %.0f p99 %.0f ms, in the cluster p50 %.0f p99 %.0f ms", size,
			percentile(through, 50), percentile(through, 99), percentile(direct, 50), percentile(direct, 99))
		b.ReportMetric(percentile(through, 50)-percentile(direct, 50), fmt.Sprintf("overhead-p50-ms/%d", size))
	}
}

// hubService is a service whose route is the hub's; that of the first one is the cluster's own.
const hubService = "svc-01"

// hubWorkload has the hub hear of the service: a pod without a kubelet, and its endpoint.
const hubWorkload = `{apiVersion: v1, kind: Pod, metadata: {name: svc-01, namespace: bench, labels: {app: svc-01}}, spec: {serviceAccountName: proxy, containers: [{name: app, image: none}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: svc-01-pod, namespace: bench, labels: {kubernetes.io/service-name: svc-01}}, addressType: IPv4,
  ports: [{name: http, port: 8080, protocol: TCP}], endpoints: [{addresses: [10.1.0.1], targetRef: {kind: Pod, namespace: bench, name: svc-01}}]}
`

func hubRoute(marker string) string {
	return fmt.Sprintf(`{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: %[1]s, namespace: %[2]s}, spec: {
  parentRefs: [{group: "", kind: Service, name: %[1]s}], rules: [{filters: [{type: ResponseHeaderModifier,
  responseHeaderModifier: {set: [{name: x-bench, value: %[3]s}]}}], backendRefs: [{name: %[1]s, port: 8080}]}]}}`, hubService, workspace, marker)
}

// adopt joins the cluster to a hub, as a zone whose services are in a workspace, with the rights that its edge asks for.
func adopt(b *testing.B, w *meshtest.World, s *stock) {
	s.zone.Apply(hubWorkload)
	w.Hub()
	w.Isthmus("zone", "create", s.zone.Name, "--type=kubernetes", "--output=json") // its token is for production
	w.Apply(fmt.Sprintf("{apiVersion: isthmus.dev/v1alpha1, kind: Workspace, metadata: {name: %s}, spec: {zones: [%s]}}", workspace, s.zone.Name))
	var made struct{ Token string }
	check(b, json.Unmarshal([]byte(w.Isthmus("token", "create", "--role=edge", "--zone="+s.zone.Name, "--output=json")), &made))
	account := s.zone.ReceiptsAccount()
	kubeconfig := s.zone.KubeconfigFor("isthmus-system", "isthmus-edge", append(edgekube.Rules(), edgekube.ReceiptsRules(path.Base(account))...))
	m := w.Machine("edge")
	m.Start("edge", func() []string {
		return []string{w.Binaries.Isthmus, "edge", "--join=" + made.Token, "--kubeconfig=" + kubeconfig, "--data=" + m.Dir("edge"), "--name=" + m.Name,
			"--receipts-account=" + account}
	})
}

// hubClient talks to the hub as the API server's client does to the cluster's: from its own machine, at any rate.
func hubClient(b *testing.B, w *meshtest.World) dynamic.Interface {
	config, err := clientcmd.BuildConfigFromFlags("", w.Hub().Kubeconfig)
	check(b, err)
	config.Dial, config.QPS, config.Burst = w.Hub().Machine.DialContext, 10000, 10000
	client, err := dynamic.NewForConfig(config)
	check(b, err)
	return client
}

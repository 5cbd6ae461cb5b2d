package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	edgekube "github.com/isthmus-mesh/isthmus/edge/kube"
	"github.com/isthmus-mesh/isthmus/meshtest"
	"github.com/isthmus-mesh/isthmus/meshtest/kube"
)

var (
	idleServices = flag.Int("idle-services", 1000, "services in the cluster, of five pods each")
	idleTime     = flag.Duration("idle-time", time.Minute, "how long the idle edge is looked at")
)

const (
	crowdZone, crowd = "prod", "crowd" // a zone, and its one claimed namespace
	podsEach         = 5
)

// BenchmarkIdle measures what an edge as shipped costs in a cluster in which much is and nothing happens. Pods and their
// endpoints are objects without a kubelet.
func BenchmarkIdle(b *testing.B) {
	c := kube.Start(b)
	c.InstallIstioCRDs()
	populate(b, c)
	w, err := newWorld(b.Context(), filepath.Dir(meshtest.Build(b).Isthmus))
	check(b, err)
	b.Cleanup(func() { check(b, w.close()) })
	edge := startClusterEdge(b, w, c)
	b.Cleanup(func() { edge.stop(syscall.SIGKILL) })
	view := schema.GroupVersionResource{Group: "view.isthmus.dev", Version: "v1alpha1", Resource: "workloads"}
	check(b, eventually(b.Context(), "all pods are told to the hub", func() error {
		list, err := w.api.Resource(view).Namespace(crowd).List(b.Context(), metav1.ListOptions{})
		if err == nil && len(list.Items) != podsEach**idleServices {
			err = fmt.Errorf("%d are", len(list.Items))
		}
		return err
	}))
	share(b, edge, 5*time.Second) // in which it comes to rest
	b.ReportMetric(100*share(b, edge, *idleTime), "%-of-a-core")
	b.ReportMetric(edge.residentMB(), "RSS-MB")
}

// share is the part of a core that a process used while the time went by.
func share(b *testing.B, p *process, length time.Duration) float64 {
	before, err := meshtest.ProcessorTime(p.Process.Pid)
	check(b, err)
	began := time.Now()
	select {
	case <-b.Context().Done():
	case <-time.After(length): // the time is what is measured
	}
	after, err := meshtest.ProcessorTime(p.Process.Pid)
	check(b, err)
	return (after - before).Seconds() / time.Since(began).Seconds()
}

func startClusterEdge(b *testing.B, w *world, c *kube.Cluster) *process {
	ctx := b.Context()
	check(b, w.create(ctx, "zones", &v1alpha1.Zone{ObjectMeta: metav1.ObjectMeta{Name: crowdZone}, Spec: v1alpha1.ZoneSpec{Type: v1alpha1.ZoneKubernetes}}))
	check(b, w.create(ctx, "workspaces", &v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: crowd}, Spec: v1alpha1.WorkspaceSpec{Zones: []string{crowdZone}}}))
	token, err := w.tokenIn(ctx, crowdZone, "edge-"+crowdZone, v1alpha1.JoinEdge, "", w.info.FeedAddresses)
	check(b, err)
	edge, err := start(w.dir, crowdZone, filepath.Join(w.bin, "isthmus"), "edge", "--data", filepath.Join(w.dir, crowdZone), "--name", "edge-"+crowdZone,
		"--join", token, "--kubeconfig", c.KubeconfigFor("isthmus-system", "isthmus-edge", edgekube.Rules()))
	check(b, err)
	return edge
}

// populate makes services, pods and slices.
func populate(b *testing.B, c *kube.Cluster) {
	c.Apply("{apiVersion: v1, kind: Namespace, metadata: {name: " + crowd + "}}\n---\n{apiVersion: v1, kind: ServiceAccount, metadata: {name: default, namespace: " + crowd + "}}")
	group, ctx := errgroup.WithContext(b.Context())
	group.SetLimit(8)
	for i := range *idleServices {
		group.Go(func() error { return populateService(ctx, c.Core, i) })
	}
	check(b, group.Wait())
}

func populateService(ctx context.Context, client kubernetes.Interface, i int) error {
	name, port := fmt.Sprintf("svc-%04d", i), int32(8080)
	_, err := client.CoreV1().Services(crowd).Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: port}}}}, metav1.CreateOptions{})
	protocol, http := corev1.ProtocolTCP, "http"
	slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: &http, Port: &port, Protocol: &protocol}}}
	for n := range podsEach {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", name, n), Labels: map[string]string{"app": name}},
			Spec: corev1.PodSpec{ServiceAccountName: "default", Containers: []corev1.Container{{Name: "app", Image: "none"}}}}
		_, wrong := client.CoreV1().Pods(crowd).Create(ctx, pod, metav1.CreateOptions{})
		err = errors.Join(err, wrong)
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{addressOf(i*podsEach + n)},
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: crowd, Name: pod.Name}})
	}
	_, wrong := client.DiscoveryV1().EndpointSlices(crowd).Create(ctx, slice, metav1.CreateOptions{})
	return errors.Join(err, wrong)
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

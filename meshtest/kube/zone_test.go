package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

const strict = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
`

// One zone is used by all parts: it takes seconds to start.
func TestZone(t *testing.T) {
	began := time.Now()
	w := meshtest.New(t)
	z := NewZone(w, "east", Istio{})
	t.Logf("a zone starts in %v", time.Since(began).Round(time.Millisecond))
	z.Apply(strict)
	z.Serve("shop", "web", "v1", "--reviews=http://reviews:9080")
	z.Serve("shop", "reviews", "v1")
	began = time.Now()
	web := z.WaitPod("shop", "app=web")
	z.WaitPod("shop", "app=reviews")
	answers(t, web, "http://reviews:9080/")
	t.Logf("from the objects to the first answer: %v", time.Since(began).Round(time.Millisecond))

	w.Run(t, "callers are who they are", func(t *testing.T) { testIdentity(t, z, w) })
	w.Run(t, "a weighted route", func(t *testing.T) { testWeights(t, z) })
	w.Run(t, "a gateway of the zone", func(t *testing.T) { testGateway(t, z, w) })
	w.Run(t, "what a kubelet does", func(t *testing.T) { testKubelet(t, z, w) })
	w.Run(t, "a rolling restart", func(t *testing.T) { testRollout(t, z) })
	w.Run(t, "the control plane goes and comes", func(t *testing.T) { testControlPlane(t, z) })
	w.Run(t, "what an Envoy refuses", func(t *testing.T) { testRefusal(t, z) })
}

// answers waits until a URL answers with 200.
func answers(t *testing.T, pod *Pod, url string) {
	t.Helper()
	meshtest.Eventually(t, url+" answers "+pod.Name, func() error {
		if tally := pod.Ask(1, url); tally.Status(200) != 1 {
			return fmt.Errorf("%s", tally)
		}
		return nil
	})
}

func testIdentity(t *testing.T, z *Zone, w *meshtest.World) {
	web, reviews := z.WaitPod("shop", "app=web"), z.WaitPod("shop", "app=reviews")
	capture := w.LAN.Capture()
	tally := web.Ask(50, "http://reviews:9080/")
	tally.MustLoseNothing(t)
	if got := tally.Callers("reviews"); !slices.Equal(got, []string{"spiffe://cluster.local/ns/shop/sa/web"}) {
		t.Errorf("reviews saw %q", got)
	}
	if tally.ByHost("reviews", reviews.Name) != 50 {
		t.Error(tally)
	}
	if flows := capture.Saw("beside a pond"); len(flows) > 0 {
		t.Errorf("plaintext on the wire: %v to %v", flows[0].From, flows[0].To)
	}
	stranger := w.Machine("stranger")
	if out, err := stranger.Get("http://" + reviews.IPv4.String() + ":9080/"); err == nil {
		t.Errorf("plaintext from outside the mesh was answered: %s", out)
	}
	if out, err := web.Get("http://no-such-name:9080/", "--max-time", "3"); err == nil || !strings.Contains(err.Error(), "resolve host") {
		t.Errorf("a name nobody has: %v %s", err, out)
	}
}

func testWeights(t *testing.T, z *Zone) {
	z.Serve("shop", "reviews", "v2")
	z.WaitPods(2, "shop", "app=reviews")
	z.Apply(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews, subset: v1}, weight: 90}, {destination: {host: reviews, subset: v2}, weight: 10}]}]
`)
	web := z.WaitPod("shop", "app=web")
	meshtest.Eventually(t, "the route is in web's Envoy", func() error {
		out, err := web.Run(t.Context(), "", "curl", "--silent", "http://127.0.0.1:15000/config_dump?resource=dynamic_route_configs")
		if err == nil && !strings.Contains(out, "outbound|9080|v2|reviews.shop") {
			err = fmt.Errorf("it is not")
		}
		return err
	})
	tally := web.Ask(1000, "http://reviews:9080/")
	tally.MustLoseNothing(t)
	tally.MustShare(t, "reviews", "v2", 0.10, 0.04)
	tally.MustShare(t, "reviews", "v1", 0.90, 0.04)
}

// A gateway is a pod without an application; a machine of the LAN comes in through it.
func testGateway(t *testing.T, z *Zone, w *meshtest.World) {
	z.ServeGateway("ingress", "ingress")
	z.Apply(`
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: ingress, namespace: istio-system}
spec: {selector: {istio: ingress}, servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ingress, namespace: istio-system}
spec: {hosts: ["*"], gateways: [ingress], http: [{route: [{destination: {host: web.shop.svc.cluster.local}}]}]}
`)
	gateway := z.WaitPod("istio-system", "istio=ingress")
	browser := w.Machine("browser")
	meshtest.Eventually(t, "the gateway leads to web", func() error {
		_, err := browser.Get("http://" + gateway.IPv4.String() + ":8080/")
		return err
	})
	tally := browser.Ask(20, "http://"+gateway.IPv4.String()+":8080/")
	tally.MustLoseNothing(t)
	if got := tally.Callers("web"); !slices.Equal(got, []string{"spiffe://cluster.local/ns/istio-system/sa/ingress"}) {
		t.Errorf("web saw %q", got)
	}
}

func testKubelet(t *testing.T, z *Zone, w *meshtest.World) {
	before := z.WaitPod("shop", "app=web")
	object := podObject(t, z, before)
	if object.Labels["security.istio.io/tlsMode"] != "istio" || object.Status.PodIP != before.IPv4.String() || object.Labels[corev1.LabelTopologyZone] != "zone-east" {
		t.Errorf("labels %v, address %s, machine %s", object.Labels, object.Status.PodIP, before.IPv4)
	}
	before.Process("web").Kill() // and it is started again
	meshtest.Eventually(t, "web was restarted", func() error {
		for _, c := range podObject(t, z, before).Status.ContainerStatuses {
			if c.Name == "web" && c.RestartCount > 0 && c.Ready {
				return nil
			}
		}
		return fmt.Errorf("not yet")
	})
	if err := z.Core.CoreV1().Pods("shop").Delete(t.Context(), before.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	meshtest.Eventually(t, "another pod took its place", func() error {
		pods, err := z.Pods("shop", "app=web")
		if err == nil && (len(pods) != 1 || pods[0].Name == before.Name) {
			err = fmt.Errorf("%d pods", len(pods))
		}
		return err
	})
	meshtest.Eventually(t, "the pod is gone", func() error {
		_, err := z.Core.CoreV1().Pods("shop").Get(t.Context(), before.Name, metav1.GetOptions{})
		if err == nil {
			return fmt.Errorf("it is there")
		}
		return nil
	})
	if before.Process("web").Running() || before.Process(proxyContainer).Running() {
		t.Error("a container outlived its pod")
	}
}

// Nothing is lost, because a pod that ends is not ready first, and serves until the proxies know.
func testRollout(t *testing.T, z *Zone) {
	service, err := z.Core.CoreV1().Services("shop").Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	caller, before := z.WaitPods(2, "shop", "app=reviews")[0], z.WaitPod("shop", "app=web")
	ctx, cancel := context.WithCancel(t.Context())
	counted := make(chan *meshtest.Tally, 1)
	load := meshtest.Load{URL: "http://" + service.Spec.ClusterIP + ":9080/", Rate: 50, Dial: caller.DialContext}
	go func() { counted <- load.Run(ctx) }()
	restart := `{"spec": {"template": {"metadata": {"annotations": {"restarted": "once"}}}}}`
	if _, err := z.Core.AppsV1().Deployments("shop").Patch(t.Context(), "web-v1", types.StrategicMergePatchType, []byte(restart), metav1.PatchOptions{}); err != nil {
		t.Error(err)
	}
	meshtest.Eventually(t, "the pod was replaced", func() error {
		list, err := z.Core.CoreV1().Pods("shop").List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
		if err == nil && (len(list.Items) != 1 || list.Items[0].Name == before.Name) {
			err = fmt.Errorf("%d pods", len(list.Items))
		}
		return err
	})
	cancel()
	tally := <-counted
	tally.MustLoseNothing(t)
	if after := z.WaitPod("shop", "app=web"); tally.ByHost("web", before.Name) == 0 || tally.ByHost("web", after.Name) == 0 {
		t.Error(tally)
	}
}

func podObject(t *testing.T, z *Zone, p *Pod) *corev1.Pod {
	t.Helper()
	object, err := z.Core.CoreV1().Pods(p.Namespace).Get(t.Context(), p.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return object
}

func testControlPlane(t *testing.T, z *Zone) {
	web := z.WaitPod("shop", "app=web")
	z.Istiod.Kill()
	z.API.Kill()
	web.Ask(50, "http://reviews:9080/").MustLoseNothing(t)
	z.API.Start()
	z.WaitReady()
	z.Istiod.Start()
	z.WaitIstiod()
	z.Serve("shop", "details", "v1")
	z.WaitPod("shop", "app=details")
	answers(t, web, "http://details:9080/")
}

// testRefusal shows that the zone tells what an Envoy refuses, so that an empty answer means something.
func testRefusal(t *testing.T, z *Zone) {
	if refused, err := z.Refused(); err != nil || len(refused) > 0 {
		t.Errorf("refused so far: %v, %v", refused, err)
	}
	z.Apply(`
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: unknown, namespace: shop}
spec:
  workloadSelector: {labels: {app: web}}
  configPatches:
  - applyTo: HTTP_FILTER
    match: {context: SIDECAR_INBOUND, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}}
    patch: {operation: INSERT_BEFORE, value: {name: istio.alpn, typed_config: {"@type": type.googleapis.com/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig}}}
`)
	web := z.WaitPod("shop", "app=web")
	meshtest.Eventually(t, "web's Envoy refuses a filter it does not know", func() error {
		refused, err := z.Refused()
		if err == nil && (len(refused) != 1 || !strings.Contains(refused[web.Name+".shop"], "istio.alpn")) {
			err = fmt.Errorf("refused: %v", refused)
		}
		return err
	})
	answers(t, web, "http://reviews:9080/") // by what it had before
	filters := schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1alpha3", Resource: "envoyfilters"}
	if err := z.Dynamic.Resource(filters).Namespace("shop").Delete(t.Context(), "unknown", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	meshtest.Eventually(t, "nothing is refused any more", func() error {
		refused, err := z.Refused()
		if err == nil && len(refused) > 0 {
			err = fmt.Errorf("refused: %v", refused)
		}
		return err
	})
}

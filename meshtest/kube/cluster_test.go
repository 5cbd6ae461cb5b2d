package kube

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

func TestCluster(t *testing.T) {
	began := time.Now()
	c := Start(t)
	t.Logf("a cluster starts in %v", time.Since(began).Round(time.Millisecond))
	testAccounts(t, c)
	testPause(t, c)
	testRestart(t, c)
}

// Objects outlive the API server.
func testRestart(t *testing.T, c *Cluster) {
	c.Apply("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}")
	for _, end := range []func(){c.StopAPI, c.API.Kill} {
		end()
		if _, err := c.Core.CoreV1().Namespaces().Get(t.Context(), "shop", metav1.GetOptions{}); err == nil {
			t.Fatal("an API server that was ended answers")
		}
		c.API.Start()
		c.WaitReady()
		if _, err := c.Core.CoreV1().Namespaces().Get(t.Context(), "shop", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	}
	meshtest.Eventually(t, "controllers work on", func() error {
		_, err := c.Core.CoreV1().ServiceAccounts("shop").Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
}

func TestClustersSideBySideServeIstiosKinds(t *testing.T) {
	a, b := Start(t), Start(t)
	a.InstallIstioCRDs()
	a.InstallGatewayCRDs()
	for group, want := range map[string]int{"networking.istio.io/v1": 7, "security.istio.io/v1": 3, "gateway.networking.k8s.io/v1": 5} {
		kinds := func(c *Cluster) (count int) {
			list, err := c.Core.Discovery().ServerResourcesForGroupVersion(group)
			if err == nil {
				count = len(list.APIResources)
			}
			return count
		}
		if got := kinds(a); got < want {
			t.Errorf("%d kinds of %s, want %d", got, group, want)
		}
		if got := kinds(b); got != 0 {
			t.Errorf("the other cluster has %d kinds of %s", got, group)
		}
	}
}

// Accounts have their rights and no others.
func testAccounts(t *testing.T, c *Cluster) {
	reader := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}}}
	made := c.KubeconfigFor("mesh", "reader", reader)
	found := c.KubeconfigOf("mesh", "reader")
	for _, path := range []string{made, found} {
		config, err := clientcmd.BuildConfigFromFlags("", path)
		if err != nil {
			t.Fatal(err)
		}
		as := kubernetes.NewForConfigOrDie(config).CoreV1()
		meshtest.Eventually(t, "pods are listed", func() error {
			_, err := as.Pods("default").List(t.Context(), metav1.ListOptions{})
			return err
		})
		if _, err := as.Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("listing secrets: %v, want it forbidden", err)
		}
		if _, err := as.Pods("default").Create(t.Context(), &corev1.Pod{}, metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("creating a pod: %v, want it forbidden", err)
		}
	}
}

// A process that hangs is not one that is gone: connections stay open.
func testPause(t *testing.T, c *Cluster) {
	c.API.Pause()
	answered := make(chan error, 1)
	go func() {
		_, err := c.Core.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Errorf("a paused API server answered: %v", err)
	case <-time.After(200 * time.Millisecond): // there is no sign of an answer that does not come
	}
	c.API.Resume()
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

package kube

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// Zone is a cluster in a world. Its API server, controllers and istiod are on one machine, its pods on machines of their
// own; all are on the world's LAN, so that other machines and the pods of other zones reach them.
type Zone struct {
	*Cluster
	// Name of the zone, of its machine and of its node.
	Name string
	// Machine is where the control plane runs.
	Machine *meshtest.Machine
	// Istiod is Istio's control plane, after [Zone.StartIstiod].
	Istiod *meshtest.Process
	// Replicas are all istiods, the first of which is Istiod.
	Replicas []*Replica

	world *meshtest.World
	istio Istio
	nodes *kubelet
}

// On runs a cluster on a new machine of a world, without Istio and without a kubelet. The name begins the names of
// its pods' machines and has six letters at most.
func On(w *meshtest.World, name string) *Zone {
	t := w.T()
	t.Helper()
	m := w.Machine(name)
	c := &Cluster{t: t, dir: m.Dir("kube"), ip: m.IPv4.String(), command: func(argv []string) *exec.Cmd {
		return m.Command(context.Background(), argv[0], argv[1:]...)
	}}
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c.start(m.DialContext)
	return &Zone{Cluster: c, Name: name, Machine: m, world: w}
}

// NewZone runs a cluster with the kinds of Istio and of the Gateway API, istiod and a kubelet.
func NewZone(w *meshtest.World, name string, istio Istio) *Zone {
	w.T().Helper()
	z := On(w, name)
	z.InstallIstioCRDs()
	z.InstallGatewayCRDs()
	z.StartIstiod(istio)
	z.StartKubelet()
	return z
}

// Pods are the pods that are ready, of a namespace and with some labels, for instance "app=reviews,version=v2".
func (z *Zone) Pods(namespace, selector string) ([]*Pod, error) {
	list, err := z.Core.CoreV1().Pods(namespace).List(z.t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	var ready []*Pod
	for _, object := range list.Items {
		if object.DeletionTimestamp == nil && isReady(&object) {
			ready = append(ready, z.nodes.pod(object.UID))
		}
	}
	return ready, nil
}

// WaitPods waits until a number of pods are ready, and no more.
func (z *Zone) WaitPods(count int, namespace, selector string) (pods []*Pod) {
	z.t.Helper()
	meshtest.Eventually(z.t, fmt.Sprintf("%d pods %s are ready in %s", count, selector, namespace), func() (err error) {
		if pods, err = z.Pods(namespace, selector); err == nil && len(pods) != count {
			err = fmt.Errorf("%d are", len(pods))
		}
		return err
	})
	return pods
}

// WaitPod waits until one pod is ready, and no other.
func (z *Zone) WaitPod(namespace, selector string) *Pod {
	z.t.Helper()
	return z.WaitPods(1, namespace, selector)[0]
}

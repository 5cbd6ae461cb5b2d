package kube

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// kubelet runs the pods of a zone, and is its scheduler.
type kubelet struct {
	z     *Zone
	files podFiles
	ctx   context.Context // ends with the kubelet
	stop  context.CancelFunc
	live  sync.WaitGroup // a goroutine a pod

	mu    sync.Mutex
	pods  map[types.UID]*Pod
	count int // of pods ever
}

// StartKubelet begins to run pods. It needs istiod if pods have proxies.
//
// A pod is a machine on the LAN; its containers' commands are programs of this machine, which find the world's
// binaries, for instance shop, in their PATH. Their images and security contexts are ignored; their volumes lie at the mount
// paths, and those of proxies below the working directory. A claim is a folder on the zone's machine. A pod has a proxy beside it if its label sidecar.istio.io/inject is "true" or its
// namespace's label istio-injection is "enabled", and is a gateway if its annotation inject.istio.io/templates is
// "gateway". A pod that names its service account has its token. Not there are jobs that end, liveness probes, and exec, logs and port-forward.
func (z *Zone) StartKubelet() {
	z.t.Helper()
	files, err := publish(z.t.Context(), z.programs, z.world.Binaries)
	if err != nil {
		z.t.Fatal(err)
	}
	k := &kubelet{z: z, files: files, pods: map[types.UID]*Pod{}}
	k.ctx, k.stop = context.WithCancel(context.Background())
	z.nodes = k
	if err := k.addNode(); err != nil {
		z.t.Fatalf("adding the node: %v", err)
	}
	factory := informers.NewSharedInformerFactory(z.Core, 0)
	_, err = factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: k.see, UpdateFunc: func(_, now any) { k.see(now) }, DeleteFunc: k.forget,
	})
	if err != nil {
		z.t.Fatal(err)
	}
	factory.Start(k.ctx.Done())
	z.t.Cleanup(func() {
		k.stop()
		factory.Shutdown()
		k.live.Wait()
	})
}

// addNode makes the node. Kubernetes gives its region and zone to the pods that are bound to it.
func (k *kubelet) addNode() error {
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: k.z.Name, Labels: map[string]string{
			corev1.LabelTopologyRegion: "region-" + k.z.Name, corev1.LabelTopologyZone: "zone-" + k.z.Name}},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
	}
	_, err := k.z.Core.CoreV1().Nodes().Create(k.ctx, node, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		err = nil
	}
	return err
}

// see is told of every pod, whenever it changes.
func (k *kubelet) see(object any) {
	seen := object.(*corev1.Pod)
	if seen.Spec.NodeName != "" && seen.Spec.NodeName != k.z.Name {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	p, known := k.pods[seen.UID]
	if !known {
		k.count++
		p = k.newPod(seen.DeepCopy(), fmt.Sprintf("%s-p%d", k.z.Name, k.count))
		k.pods[seen.UID] = p
		k.live.Go(p.run)
	}
	if seen.DeletionTimestamp != nil {
		p.end()
	}
}

// forget is told of pods that are gone: deleted by us, or by force.
func (k *kubelet) forget(object any) {
	if last, missed := object.(cache.DeletedFinalStateUnknown); missed {
		object = last.Obj
	}
	if p := k.pod(object.(*corev1.Pod).UID); p != nil {
		p.end()
	}
}

func (k *kubelet) pod(uid types.UID) *Pod {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.pods[uid]
}

package kube

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// Pod is a pod that runs: a machine, on which a test runs commands beside the pod's.
type Pod struct {
	// Machine of the pod. Its applications' connections are captured as the pod's are.
	*meshtest.Machine
	// Namespace and Name of the pod.
	Namespace, Name string

	k      *kubelet
	object *corev1.Pod // with the proxy, if it has one
	host   string      // the machine's name
	began  time.Time

	ctx context.Context // ends when the pod is to end
	end context.CancelFunc

	scope      *scope
	containers atomic.Pointer[[]*container]
	told       corev1.PodStatus // what the API server was told last
}

// scope is the test, except that what is registered for its end is done at the pod's.
type scope struct {
	testing.TB
	mu       sync.Mutex
	cleanups []func()
}

// Cleanup implements testing.TB.
func (s *scope) Cleanup(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanups = append(s.cleanups, f)
}

func (s *scope) close() {
	for _, f := range s.cleanups {
		f()
	}
}

func (k *kubelet) newPod(object *corev1.Pod, host string) *Pod {
	p := &Pod{Namespace: object.Namespace, Name: object.Name, k: k, object: object, host: host, scope: &scope{TB: k.z.t}, began: time.Now()}
	p.ctx, p.end = context.WithCancel(k.ctx)
	return p
}

// How often a pod is looked after: often while something is awaited.
const (
	tick  = 50 * time.Millisecond
	watch = 5 * tick
)

// run is the life of a pod.
func (p *Pod) run() {
	defer p.end()
	defer p.scope.close()
	for _, step := range []func(context.Context) error{p.bind, p.identify, p.inject, p.plug, p.report, p.mount, p.capture, p.start} {
		p.insist(p.ctx, step)
	}
	p.attend()
	p.finish(p.k.ctx)
}

// attend looks after the pod until it is to end.
func (p *Pod) attend() {
	look := time.NewTimer(tick)
	defer look.Stop()
	for p.ctx.Err() == nil {
		select {
		case <-p.ctx.Done():
		case <-look.C:
			p.restart()
			pace := tick
			if p.report(p.ctx) == nil && isReady(&corev1.Pod{Status: p.told}) {
				pace = watch
			}
			look.Reset(pace)
		}
	}
}

// insist tries a step until it succeeds: what it needs may not be there yet, and the API server may be away.
func (p *Pod) insist(ctx context.Context, step func(context.Context) error) {
	again := time.NewTicker(tick)
	defer again.Stop()
	var last string
	for ctx.Err() == nil {
		err := step(ctx)
		if err == nil {
			return
		}
		if text := err.Error(); text != last && ctx.Err() == nil {
			p.k.z.t.Logf("pod %s/%s waits: %s", p.Namespace, p.Name, text)
			last = text
		}
		select {
		case <-ctx.Done():
		case <-again.C:
		}
	}
}

func (p *Pod) bind(ctx context.Context) error {
	if p.object.Spec.NodeName != "" {
		return nil
	}
	binding := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: p.Name, UID: p.object.UID}, Target: corev1.ObjectReference{Kind: "Node", Name: p.k.z.Name}}
	err := p.k.z.Core.CoreV1().Pods(p.Namespace).Bind(ctx, binding, metav1.CreateOptions{})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) { // bound before an answer was lost, or gone already
		err = nil
	}
	if err == nil {
		p.object.Spec.NodeName = p.k.z.Name
	}
	return err
}

// plug makes the pod's machine.
func (p *Pod) plug(context.Context) error {
	m := p.k.z.world.Machine(p.host)
	if err := os.Mkdir(m.Dir("root"), 0o755); err != nil {
		return err
	}
	m.WriteEtc("resolv.conf", fmt.Sprintf("nameserver %s\nsearch %s.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n", p.k.z.world.LAN.Gateway(), p.Namespace))
	m.WriteEtc("hosts", fmt.Sprintf("127.0.0.1 localhost\n%s %s\n%s", m.IPv4, p.Name, p.k.z.istiodHosts(m)))
	p.k.mu.Lock()
	defer p.k.mu.Unlock()
	p.Machine = m
	return nil
}

// finish ends the pod as a kubelet does, or at once if the kubelet itself ends.
func (p *Pod) finish(ctx context.Context) {
	if p.Machine != nil {
		p.report(ctx)
		p.terminate(ctx)
		p.Remove()
	}
	if ctx.Err() != nil {
		return
	}
	p.insist(ctx, func(ctx context.Context) error {
		now := metav1.NewDeleteOptions(0)
		now.Preconditions = metav1.NewUIDPreconditions(string(p.object.UID))
		err := p.k.z.Core.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, *now)
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // gone; another may have its name
			err = nil
		}
		return err
	})
}

package kube

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// inventory knows the workloads of the namespaces that belong to workspaces: the pods behind each Service.
// It looks at one Service at a time, whenever something of it changed.
type inventory struct {
	config Config
	synced []cache.InformerSynced
	// services, slices and pods are the cluster's.
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
	pods     corelisters.PodLister
	queue    workqueue.TypedInterface[serviceName]

	mu        sync.Mutex // guards what follows
	claims    map[string]string
	workloads map[serviceName]map[string]*feedpb.Workload
}

type serviceName struct{ namespace, name string }

func newInventory(config Config, factory informers.SharedInformerFactory) (*inventory, error) {
	core, discovery := factory.Core().V1(), factory.Discovery().V1()
	i := &inventory{
		config: config, services: core.Services().Lister(), slices: discovery.EndpointSlices().Lister(), pods: core.Pods().Lister(),
		queue: workqueue.NewTyped[serviceName](), claims: map[string]string{}, workloads: map[serviceName]map[string]*feedpb.Workload{},
	}
	var failed error
	listen := func(informer cache.SharedIndexInformer, seen func(any)) {
		failed = errors.Join(failed, informer.SetTransform(slimObject))
		registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: seen, UpdateFunc: func(_, o any) { seen(o) }, DeleteFunc: seen,
		})
		failed = errors.Join(failed, err)
		i.synced = append(i.synced, registration.HasSynced)
	}
	listen(core.Services().Informer(), i.serviceSeen)
	listen(discovery.EndpointSlices().Informer(), i.sliceSeen)
	listen(core.Pods().Informer(), i.podSeen)
	return i, failed
}

// slimObject drops what nobody looks at and every object has.
func slimObject(o any) (any, error) {
	if object, is := o.(metav1.Object); is {
		object.SetManagedFields(nil)
		object.SetAnnotations(nil)
	}
	return o, nil
}

// last is the object of an event, also of one that came late.
func last(o any) any {
	if gone, is := o.(cache.DeletedFinalStateUnknown); is {
		return gone.Obj
	}
	return o
}

func (i *inventory) serviceSeen(o any) {
	if s, is := last(o).(*corev1.Service); is {
		i.queue.Add(serviceName{s.Namespace, s.Name})
	}
}

func (i *inventory) sliceSeen(o any) {
	if s, is := last(o).(*discoveryv1.EndpointSlice); is {
		if name := s.Labels[discoveryv1.LabelServiceName]; name != "" {
			i.queue.Add(serviceName{s.Namespace, name})
		}
	}
}

// podSeen has the services looked at that pick the pod: its labels and account are part of the workload.
func (i *inventory) podSeen(o any) {
	pod, is := last(o).(*corev1.Pod)
	if !is {
		return
	}
	services, err := i.services.Services(pod.Namespace).List(labels.Everything())
	if err != nil {
		return // a lister of a cache has no errors
	}
	for _, s := range services {
		if len(s.Spec.Selector) > 0 && labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(pod.Labels)) {
			i.queue.Add(serviceName{s.Namespace, s.Name})
		}
	}
}

// setClaims says which namespaces belong to which workspaces. Services of all of them are looked at again.
func (i *inventory) setClaims(claims []*feedpb.Claim) {
	next := map[string]string{}
	for _, claim := range claims {
		next[claim.Namespace] = claim.Workspace
	}
	i.mu.Lock()
	changed := !maps.Equal(i.claims, next)
	i.claims = next
	var known []serviceName
	for name := range i.workloads {
		known = append(known, name)
	}
	i.mu.Unlock()
	if !changed {
		return
	}
	for _, name := range known {
		i.queue.Add(name)
	}
	services, err := i.services.List(labels.Everything())
	if err != nil {
		return // as above
	}
	for _, s := range services {
		i.queue.Add(serviceName{s.Namespace, s.Name})
	}
}

// run looks at services as they change, until ctx ends.
func (i *inventory) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, i.queue.ShutDown)
	defer stop()
	if !cache.WaitForCacheSync(ctx.Done(), i.synced...) {
		return nil
	}
	for {
		name, done := i.queue.Get()
		if done {
			return nil
		}
		i.look(name)
		i.queue.Done(name)
	}
}

// look compares the workloads of a service with what was told of it.
func (i *inventory) look(name serviceName) {
	i.mu.Lock()
	workspace := i.claims[name.namespace]
	i.mu.Unlock()
	now := map[string]*feedpb.Workload{}
	if service, err := i.services.Services(name.namespace).Get(name.name); err == nil && workspace != "" {
		now = i.workloadsOf(service, workspace)
	}
	upserts, gone := i.replace(name, now)
	if len(upserts)+len(gone) > 0 {
		i.config.Events.Workloads(upserts, gone)
	}
}

func (i *inventory) replace(name serviceName, now map[string]*feedpb.Workload) (upserts []*feedpb.Workload, gone []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	before := i.workloads[name]
	for _, key := range slices.Sorted(maps.Keys(now)) {
		if before[key] == nil || !proto.Equal(before[key], now[key]) {
			upserts = append(upserts, now[key])
		}
	}
	for key := range before {
		if now[key] == nil {
			gone = append(gone, key)
		}
	}
	slices.SortFunc(gone, strings.Compare)
	i.workloads[name] = now
	if len(now) == 0 {
		delete(i.workloads, name)
	}
	return upserts, gone
}

// all are the workloads known now.
func (i *inventory) all() []*feedpb.Workload {
	i.mu.Lock()
	defer i.mu.Unlock()
	var all []*feedpb.Workload
	for _, workloads := range i.workloads {
		all = slices.AppendSeq(all, maps.Values(workloads))
	}
	return all
}

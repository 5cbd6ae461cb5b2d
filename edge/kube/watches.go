package kube

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// watches are all that keep the tables.
func (c *Cluster) watches() []*watched {
	var all []*watched
	for _, name := range kindNames() {
		all = append(all, c.watchKind(kinds[name]))
	}
	core := c.core.CoreV1()
	return append(all,
		watchCore(c, "Service", "services", core.Services("").List, core.Services("").Watch, c.inventory.services),
		watchCore(c, "Pod", "pods", core.Pods("").List, core.Pods("").Watch, c.inventory.pods),
		watchCore(c, "Node", "nodes", core.Nodes().List, core.Nodes().Watch, c.inventory.nodes),
		watchCore(c, "Namespace", "namespaces", core.Namespaces().List, core.Namespaces().Watch, c.namespaces),
		watchCore(c, "EndpointSlice", "endpointslices.discovery.k8s.io",
			c.core.DiscoveryV1().EndpointSlices("").List, c.core.DiscoveryV1().EndpointSlices("").Watch, c.inventory.slices),
	)
}

func (c *Cluster) watchKind(k *kind) *watched {
	client, t := c.dynamic.Resource(k.GroupVersionResource), c.objects[k.name]
	w := &watched{
		what: k.GroupResource().String(), kind: k.name, store: t, lose: t.lose, faults: c.faults,
		needed: func() bool { return c.wants(k.name) },
		list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list, err := client.List(ctx, o)
			if err != nil {
				return nil, err // an interface that is nil
			}
			return list, nil
		},
		watch: client.Watch,
	}
	if k.ours {
		w.selector = ManagedBy + "=" + Owner + "," + ZoneLabel + "=" + c.config.Zone
	}
	return w
}

// watchCore watches one of Kubernetes' own kinds, which are always needed.
func watchCore[L runtime.Object](c *Cluster, kind, what string, list func(context.Context, metav1.ListOptions) (L, error),
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error), store cache.ReflectorStore,
) *watched {
	return &watched{
		what: what, kind: kind, store: store, faults: c.faults, lose: func() {}, needed: func() bool { return true }, watch: watch,
		list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			l, err := list(ctx, o)
			if err != nil {
				return nil, err
			}
			return l, nil
		},
	}
}

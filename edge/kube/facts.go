package kube

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// facts are what the cluster shows of itself: counts and states for people, told once a second at most.
type facts struct {
	// stale is whether something changed since they were gathered.
	stale atomic.Bool
	// told is nil while this edge does not lead.
	told atomic.Pointer[feedpb.Cluster]
}

// factsEvery is how often changes are gathered.
const factsEvery = time.Second

// Facts returns what was last told of the cluster; nil while this edge does not lead, or has told nothing yet.
func (c *Cluster) Facts() *feedpb.Cluster { return c.facts.told.Load() }

// tellFacts tells what the cluster shows whenever it is something else, until ctx ends.
func (c *Cluster) tellFacts(ctx context.Context) {
	defer c.facts.told.Store(nil)
	defer c.config.Events.Condition(trustPlace, nil)
	tick, look := time.NewTicker(factsEvery), time.NewTicker(trustEvery)
	defer tick.Stop()
	defer look.Stop()
	var t trust
	c.facts.stale.Store(true)
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			t.looked = false
			c.facts.stale.Store(true)
		case <-tick.C:
			if c.facts.stale.Swap(false) {
				c.tellChanged(c.gather(ctx, &t))
			}
		}
	}
}

// gather returns what the cluster shows now, or nil before everything is known.
func (c *Cluster) gather(ctx context.Context, t *trust) *feedpb.Cluster {
	f := c.inventory.count()
	if f == nil {
		return nil
	}
	findIstio(f, c.inventory.pods.all())
	f.Unmanaged, f.Receipts = c.unmanaged(), c.receipts != nil
	c.findTrust(ctx, t, f)
	return f
}

func (c *Cluster) tellChanged(f *feedpb.Cluster) {
	if f == nil || proto.Equal(f, c.facts.told.Load()) {
		return
	}
	c.facts.told.Store(f)
	c.config.Events.Facts(f)
}

// named is how many Services without pods are named.
const named = 20

// count counts what is in claimed namespaces, and finds gateways in the others: a workspace is not to send the requests of
// all to a Service of its own. It returns nil before everything is known.
func (i *inventory) count() *feedpb.Cluster {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.told {
		return nil
	}
	f := &feedpb.Cluster{Pods: uint32(len(i.known))}
	for key, s := range i.services.all() {
		namespace, _, _ := strings.Cut(key, "/")
		if i.claims[namespace] == "" {
			if s.gateway != nil {
				f.Gateways = append(f.Gateways, i.gateway(key, s))
			}
			continue
		}
		f.Services++
		if len(s.selector) > 0 && !i.hasPods(key) {
			f.WithoutPods = append(f.WithoutPods, key)
			if roleOf(s.selector) == "sidecar" { // as with pods, gateways are no services
				f.Idle = append(f.Idle, i.idle(key, s))
			}
		}
	}
	slices.SortFunc(f.Gateways, func(a, b *feedpb.ClusterGateway) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	slices.SortFunc(f.Idle, func(a, b *feedpb.IdleService) int {
		return cmp.Or(strings.Compare(a.Workspace, b.Workspace), strings.Compare(a.Service, b.Service))
	})
	slices.Sort(f.WithoutPods)
	f.ServicesWithoutPods = uint32(len(f.WithoutPods))
	f.WithoutPods = f.WithoutPods[:min(len(f.WithoutPods), named)]
	return f
}

// idle is a service without pods. The ports of pods are not known before there is one. Caller holds mu.
func (i *inventory) idle(key string, s *service) *feedpb.IdleService {
	namespace, name, _ := strings.Cut(key, "/")
	all := map[string]uint32{}
	for name, p := range s.ports {
		all[name] = p.number
	}
	return &feedpb.IdleService{Workspace: i.claims[namespace], Service: name, Ports: portsOf(s.ports, all), Selector: s.selector}
}

// hasPods is whether a pod is behind a service. Caller holds mu.
func (i *inventory) hasPods(service string) bool {
	for _, name := range i.slicesOf[service] {
		if s := i.slices.get(name); s != nil && len(s.endpoints) > 0 {
			return true
		}
	}
	return false
}

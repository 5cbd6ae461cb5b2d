package kube

import (
	"maps"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// inventory makes workloads of pods behind services. Its tables call it with every change; what follows
// is worked out and told in that call.
type inventory struct {
	events Events
	facts  *facts

	services *table[service]
	slices   *table[slice]
	pods     *table[pod]
	nodes    *table[node]

	mu          sync.Mutex // guards what follows and orders what is told
	trustDomain string
	claims      map[string]string // nil before they are known
	// leading edges tell what they know, as soon as that is everything: told says that it is.
	leading, told bool
	// slicesOf are the names of slices by service, and slicesWith those by pod.
	slicesOf, slicesWith index
	// named are the namespaces of pods that are workloads, by the pods' names.
	named index
	known map[string][]*feedpb.Workload // by pod
}

func newInventory(trustDomain string, events Events, facts *facts) *inventory {
	i := &inventory{events: events, facts: facts, trustDomain: trustDomain, slicesOf: index{}, slicesWith: index{}, named: index{}, known: map[string][]*feedpb.Workload{}}
	i.services = newTable(readService, i.serviceChanged, i.synced)
	i.slices = newTable(readSlice, i.sliceChanged, i.synced)
	i.pods = newTable(readPod, i.podChanged, i.synced)
	i.nodes = newTable(readNode, i.nodeChanged, i.synced)
	return i
}

// index are names by name, each once: few by each, so that lists are smaller than sets.
type index map[string][]string

func (i index) has(key, name string) bool { return slices.Contains(i[key], name) }

func (i index) add(key, name string) {
	if !i.has(key, name) {
		i[key] = append(i[key], name)
	}
}

func (i index) drop(key, name string) {
	rest := slices.DeleteFunc(i[key], func(n string) bool { return n == name })
	if len(rest) == 0 {
		delete(i, key)
	} else {
		i[key] = rest
	}
}

// SetClaims says which namespaces are whose: workspaces by namespace. Pods of others are no workloads.
func (c *Cluster) SetClaims(claims map[string]string) {
	i := c.inventory
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.claims != nil && maps.Equal(i.claims, claims) {
		return
	}
	i.claims = map[string]string{}
	maps.Copy(i.claims, claims)
	i.refreshAll()
}

// setTrustDomain says of which trust domain the cluster's identities are.
func (i *inventory) setTrustDomain(name string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.trustDomain = name
	i.refreshAll()
}

// Workloads returns all of the zone; false while this edge does not lead, or does not know them all yet.
func (c *Cluster) Workloads() ([]*feedpb.Workload, bool) {
	i := c.inventory
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.told {
		return nil, false
	}
	return i.all(), true
}

// all are the workloads known, by pod. Caller holds mu.
func (i *inventory) all() []*feedpb.Workload {
	var all []*feedpb.Workload
	for _, pod := range slices.Sorted(maps.Keys(i.known)) {
		all = append(all, i.known[pod]...)
	}
	return all
}

// open begins to tell, with everything; close ends it.
func (i *inventory) open() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.leading = true
	i.refresh(nil)
}

func (i *inventory) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.leading, i.told = false, false
}

// complete is whether all tables and the claims are known; before, half the workloads would look gone.
func (i *inventory) complete() bool {
	return i.claims != nil && i.services.isReady() && i.slices.isReady() && i.pods.isReady() && i.nodes.isReady()
}

func (i *inventory) synced() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.refreshAll()
}

func (i *inventory) serviceChanged(key string, _, _ *service) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var pods []string
	for _, name := range i.slicesOf[key] {
		if s := i.slices.get(name); s != nil {
			pods = slices.AppendSeq(pods, maps.Keys(s.endpoints))
		}
	}
	i.refresh(pods)
}

func (i *inventory) sliceChanged(key string, before, after *slice) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var pods []string
	if before != nil {
		i.slicesOf.drop(before.service, key)
		for pod := range before.endpoints {
			i.slicesWith.drop(pod, key)
			pods = append(pods, pod)
		}
	}
	if after != nil {
		i.slicesOf.add(after.service, key)
		for pod := range after.endpoints {
			i.slicesWith.add(pod, key)
			pods = append(pods, pod)
		}
	}
	i.refresh(pods)
}

func (i *inventory) podChanged(key string, _, _ *pod) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.refresh([]string{key})
}

func (i *inventory) nodeChanged(name string, before, after *node) {
	if before != nil && after != nil && *before == *after {
		return // its heartbeat
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	var pods []string
	for key, p := range i.pods.all() {
		if p.node == name {
			pods = append(pods, key)
		}
	}
	i.refresh(pods)
}

// refreshAll works everything out again. Caller holds mu.
func (i *inventory) refreshAll() { i.refresh(i.everything()) }

// everything is the pods that are or may be workloads. Caller holds mu.
func (i *inventory) everything() []string {
	return slices.AppendSeq(slices.Collect(maps.Keys(i.slicesWith)), maps.Keys(i.known))
}

// refresh works pods out again and tells what changed, or everything if nothing was told. Caller holds mu.
func (i *inventory) refresh(pods []string) {
	i.facts.stale.Store(true)
	switch {
	case !i.complete():
	case i.told:
		i.report(i.workOut(pods))
	case i.leading:
		i.workOut(i.everything())
		i.told = true
		i.events.Inventory(i.all())
	default:
		i.workOut(pods)
	}
}

// workOut makes workloads of pods, and returns what they were and are. Caller holds mu.
func (i *inventory) workOut(pods []string) (old, fresh map[string]*feedpb.Workload) {
	old, fresh = map[string]*feedpb.Workload{}, map[string]*feedpb.Workload{}
	for _, pod := range i.withTwins(pods) {
		for _, w := range i.known[pod] {
			old[w.Name] = w
		}
		delete(i.known, pod)
		if made := i.workloadsOf(pod); len(made) > 0 {
			i.known[pod] = made
			for _, w := range made {
				fresh[w.Name] = w
			}
		}
	}
	return old, fresh
}

// report tells a difference. Caller holds mu.
func (i *inventory) report(old, fresh map[string]*feedpb.Workload) {
	var upserts []*feedpb.Workload
	var gone []string
	for _, name := range slices.Sorted(maps.Keys(fresh)) {
		if !proto.Equal(old[name], fresh[name]) {
			upserts = append(upserts, fresh[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if fresh[name] == nil {
			gone = append(gone, name)
		}
	}
	if len(upserts)+len(gone) > 0 {
		i.events.Workloads(upserts, gone)
	}
}

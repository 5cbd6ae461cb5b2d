package swarm

import (
	"maps"
	"slices"
	"sync"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// cache is what one proxy holds: versions, not contents, so that thousands fit.
type cache struct {
	mu       sync.Mutex
	held     map[string]map[string]string
	subjects map[string]map[string]bool
}

func newCache() *cache {
	return &cache{held: map[string]map[string]string{}, subjects: map[string]map[string]bool{}}
}

func (c *cache) take(r *discovery.DeltaDiscoveryResponse) {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := c.held[r.TypeUrl]
	if held == nil {
		held = map[string]string{}
		c.held[r.TypeUrl] = held
	}
	for _, resource := range r.Resources {
		held[resource.Name] = resource.Version
	}
	for _, name := range r.RemovedResources {
		delete(held, name)
	}
}

func (c *cache) versions(kind string) map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.held[kind])
}

// want remembers subscriptions and returns those that are new.
func (c *cache) want(kind string, names []string) (fresh []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	subjects := c.subjects[kind]
	if subjects == nil {
		subjects = map[string]bool{}
		c.subjects[kind] = subjects
	}
	for _, name := range names {
		if !subjects[name] {
			subjects[name] = true
			fresh = append(fresh, name)
		}
	}
	return fresh
}

func (c *cache) wanted(kind string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.subjects[kind]))
}

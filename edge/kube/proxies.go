package kube

import (
	"slices"
	"strings"

	"github.com/isthmus-mesh/isthmus/edge/kube/istiod"
)

// counted tells proxies that are waited for: those of claimed namespaces, and gateways that our Gateways are for.
func (c *Cluster) counted() func(namespace, name string) bool {
	i := c.inventory
	i.mu.Lock()
	claims := i.claims // which is replaced, never changed
	i.mu.Unlock()
	gateways := c.gatewayNamespaces()
	return func(namespace, name string) bool {
		if claims[namespace] != "" {
			return true
		}
		p := i.pods.get(namespace + "/" + name)
		return gateways[namespace] && p != nil && roleOf(p.labels) == "gateway"
	}
}

// gatewayNamespaces are those of the Gateways that are wanted.
func (c *Cluster) gatewayNamespaces() map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	spaces := map[string]bool{}
	for _, w := range c.wanted {
		if w.err == nil && w.kind.name == "Gateway" {
			spaces[w.namespace] = true
		}
	}
	return spaces
}

// expected are the proxies that should be connected to some istiod: those of pods that are ready.
func (c *Cluster) expected(counted func(namespace, name string) bool) []string {
	var names []string
	for _, p := range c.inventory.pods.some(func(p *pod) bool { return p.proxied && p.ready }) {
		if counted(p.namespace, p.name) {
			names = append(names, c.inventory.proxyName(p.namespace, p.name))
		}
	}
	slices.Sort(names)
	return names
}

// proxyName is what the hub calls a pod's proxy: as the pod's workload, if it is one.
func (i *inventory) proxyName(namespace, name string) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.named.has(name, namespace) && len(i.named[name]) == 1 {
		return name
	}
	return name + "." + namespace
}

// ownVersions are those of our objects of Istio's kinds that are there, by "Kind/namespace/name".
func (c *Cluster) ownVersions() map[string]uint64 {
	versions := map[string]uint64{}
	for _, name := range kindNames() {
		if !kinds[name].istio() {
			continue
		}
		for key, version := range c.objects[name].versions(func(l *live) bool { return l.own && !l.terminating }) {
			versions[name+"/"+key] = version
		}
	}
	return versions
}

// hasAll is whether an istiod has our objects in these versions or newer ones, and none that is gone.
func (c *Cluster) hasAll(objects map[string]istiod.Object, wanted map[string]uint64) bool {
	for name, version := range wanted {
		if objects[name].Version < version && c.isThere(name) {
			return false
		}
	}
	for name, o := range objects {
		if o.Labels[ManagedBy] == Owner && o.Labels[ZoneLabel] == c.config.Zone && !c.isThere(name) {
			return false
		}
	}
	return true
}

// isThere is whether an object of ours is in the cluster.
func (c *Cluster) isThere(name string) bool {
	kind, key, _ := strings.Cut(name, "/")
	t := c.objects[kind]
	if t == nil {
		return false
	}
	l := t.get(key)
	return l != nil && l.own
}

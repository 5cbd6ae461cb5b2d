package kube

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

const (
	revisionLabel = "istio.io/rev"
	istiodLabel   = "istiod" // the value of app
)

// Istio is what the cluster shows of its own Istio.
type Istio struct {
	// Namespaces that istiod runs in, and the revisions of its pods.
	Namespaces []string
	Revisions  []string
	// Injected are the revisions that namespaces ask for, by namespace.
	Injected map[string]string
	// MeshIDs as proxies were told; one, or the cluster is not as it should be.
	MeshIDs []string
}

// Istio returns what can be found of the cluster's own Istio.
func (c *Cluster) Istio() Istio {
	spaces, revisions, meshes := map[string]struct{}{}, map[string]struct{}{}, map[string]struct{}{}
	for _, p := range c.inventory.pods.all() {
		if p.labels["app"] == istiodLabel {
			spaces[p.namespace] = struct{}{}
			revisions[p.labels[revisionLabel]] = struct{}{}
		}
		if p.meshID != "" {
			meshes[p.meshID] = struct{}{}
		}
	}
	delete(revisions, "")
	found := Istio{Namespaces: sorted(spaces), Revisions: sorted(revisions), MeshIDs: sorted(meshes), Injected: map[string]string{}}
	for name, n := range c.namespaces.all() {
		if n.revision != "" {
			found.Injected[name] = n.revision
		}
	}
	return found
}

func sorted(set map[string]struct{}) []string { return slices.Sorted(maps.Keys(set)) }

// Unmanaged counts the Istio objects of the cluster that are not ours, by kind.
func (c *Cluster) Unmanaged() map[string]int {
	counts := map[string]int{}
	for _, name := range kindNames() {
		if !kinds[name].istio() {
			continue
		}
		for _, l := range c.objects[name].all() {
			if !l.own {
				counts[name]++
			}
		}
	}
	return counts
}

// meshID is what the proxy of a pod was told.
func meshID(p *corev1.Pod) string {
	for _, list := range [][]corev1.Container{p.Spec.Containers, p.Spec.InitContainers} {
		for _, container := range list {
			if container.Name != "istio-proxy" {
				continue
			}
			for _, e := range container.Env {
				if e.Name == "ISTIO_META_MESH_ID" {
					return e.Value
				}
			}
		}
	}
	return ""
}

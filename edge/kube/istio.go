package kube

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

const (
	revisionLabel = "istio.io/rev"
	istiodLabel   = "istiod" // the value of app
)

// findIstio adds what pods show of the cluster's own Istio.
func findIstio(f *feedpb.Cluster, pods map[string]*pod) {
	versions, revisions, spaces := sets.New[string](), sets.New[string](), sets.New[string]()
	meshes, domains := sets.New[string](), sets.New[string]()
	for _, p := range pods {
		meshes.Insert(p.meshID)
		domains.Insert(p.trustDomain)
		if p.labels["app"] == istiodLabel {
			versions.Insert(p.istiod)
			revisions.Insert(p.labels[revisionLabel])
			spaces.Insert(p.namespace)
		}
	}
	f.IstioVersions, f.IstioRevisions, f.IstioNamespaces = words(versions), words(revisions), words(spaces)
	f.MeshIds, f.TrustDomains = words(meshes), words(domains)
}

// words are the words of a set, sorted, without the empty one.
func words(set sets.Set[string]) []string { return sets.List(set.Delete("")) }

// unmanaged counts the Istio objects of the cluster that are not ours, by kind.
func (c *Cluster) unmanaged() map[string]uint32 {
	counts := map[string]uint32{}
	for _, name := range kindNames() {
		if !kinds[name].istio() {
			continue
		}
		for key, l := range c.objects[name].all() {
			if !l.own && !isMark(key) {
				counts[name]++
			}
		}
	}
	return counts
}

// istiodVersion is the version of Istio that a pod of istiod runs: what its label says, or its image's tag.
func istiodVersion(p *corev1.Pod) string {
	if p.Labels["app"] != istiodLabel {
		return ""
	}
	version := p.Labels["app.kubernetes.io/version"]
	for _, container := range p.Spec.Containers {
		if container.Name == "discovery" {
			version = cmp.Or(version, tag(container.Image))
		}
	}
	return version
}

// tag is that of an image, without the word for its base; an image named by its digest only has none.
func tag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	_, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return strings.TrimSuffix(tag, "-distroless")
}

// Variables that tell a proxy of which mesh and which trust domain it is.
const (
	meshIDVariable      = "ISTIO_META_MESH_ID"
	trustDomainVariable = "TRUST_DOMAIN"
)

// proxyTold is what the proxy of a pod was told in a variable.
func proxyTold(p *corev1.Pod, variable string) string {
	for _, container := range proxyContainers(p) {
		for _, e := range container.Env {
			if e.Name == variable {
				return e.Value
			}
		}
	}
	return ""
}

// proxyContainers are those in which a pod's proxy runs: one mostly, or none.
func proxyContainers(p *corev1.Pod) []corev1.Container {
	return slices.DeleteFunc(slices.Concat(p.Spec.Containers, p.Spec.InitContainers), func(c corev1.Container) bool { return c.Name != "istio-proxy" })
}

// hasProxy is whether a pod has a proxy of Istio's: a container, or the label that says that it speaks mutual TLS.
func hasProxy(p *corev1.Pod) bool {
	return len(proxyContainers(p)) > 0 || p.Labels["security.istio.io/tlsMode"] == "istio"
}

package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
)

// examineCluster looks at what a zone's cluster shows of itself. A root of its own matters where zones meet;
// one that is not what the zone is trusted for, the edge says itself.
func (h *health) examineCluster(z v1alpha1.Zone) {
	c := z.Status.Cluster
	if c == nil || c.Istio.Trust != v1alpha1.TrustOwn || z.Spec.Trust != nil || !z.Spec.EastWest.IsOpen() {
		return
	}
	h.find("zone "+z.Name, "its Istio issues certificates under a root of its own: its workloads and those of other zones refuse each other",
		"Give its istiod the zone's authority: isthmus edge cacerts --help; or let it keep its root: isthmus zone federate "+z.Name)
}

// clusterWords are the lines below those of a zone.
func clusterWords(w io.Writer, c *v1alpha1.ClusterStatus) {
	if c == nil {
		return
	}
	const indent = "         "
	fmt.Fprintf(w, indent+"%s; %s, %s%s\n", istioWords(c.Istio), count(int(c.Services), "service"), count(int(c.Pods), "workload"), unmanagedWords(c.Unmanaged))
	if len(c.Istio.Namespaces) > 0 && !c.Istio.Receipts {
		fmt.Fprintln(w, indent+"istiod is not asked what proxies acknowledge: Programmed means here that the cluster's API server has it (edge flag --receipts-account)")
	}
	if n := int(c.ServicesWithoutPods); n > 0 {
		names := strings.Join(c.WithoutPods, ", ")
		if n > len(c.WithoutPods) {
			names += ", …"
		}
		fmt.Fprintf(w, indent+"%s without pods: %s\n", count(n, "service"), names)
	}
	for _, g := range c.Gateways {
		fmt.Fprintf(w, indent+"east-west gateway %s/%s: %s\n", g.Namespace, g.Name, cmp.Or(strings.Join(g.Addresses, ", "), "no address yet"))
	}
}

func istioWords(i v1alpha1.IstioStatus) string {
	if len(i.Namespaces) == 0 {
		return "no Istio found"
	}
	words := "Istio " + strings.Join(i.Versions, " and ")
	if len(i.Versions) == 0 {
		words = "Istio of unknown version"
	}
	switch i.Trust {
	case v1alpha1.TrustMesh:
		return words + ", trust: the mesh's root"
	case v1alpha1.TrustOwn:
		return words + ", not trusted: a root of its own"
	case v1alpha1.TrustFederated:
		return words + ", trust: federated, a root of its own"
	}
	return words + ", trust: unknown"
}

func unmanagedWords(all []v1alpha1.UnmanagedKind) string {
	total, kinds := 0, []string(nil)
	for _, k := range all {
		total += int(k.Count)
		kinds = append(kinds, fmt.Sprintf("%d %s", k.Count, k.Kind))
	}
	if total == 0 {
		return ""
	}
	return fmt.Sprintf("; %s not managed (%s)", count(total, "Istio object"), strings.Join(kinds, ", "))
}

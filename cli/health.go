package cli

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	view "github.com/isthmus-mesh/isthmus/api/view/v1alpha1"
	"github.com/isthmus-mesh/isthmus/cli/hubclient"
)

// health is what "isthmus status -o json" prints; fields are only ever added.
type health struct {
	Hub       hubHealth    `json:"hub"`
	Zones     []zoneHealth `json:"zones"`
	Workloads struct {
		Total     int `json:"total"`
		Unhealthy int `json:"unhealthy"`
	} `json:"workloads"`
	Proxies struct {
		Total     int `json:"total"`
		Connected int `json:"connected"`
	} `json:"proxies"`
	// Findings are the matters that need attention; with one, the exit code is ExitDegraded.
	Findings []finding `json:"findings"`
}

type hubHealth struct {
	Address string `json:"address"`
	Ready   bool   `json:"ready"`
}

type zoneHealth struct {
	Name  string `json:"name"`
	Edges int32  `json:"edges"`
	// Connected names the edges.
	Connected string `json:"connected,omitempty"`
	// Revision is the newest one; EdgeRevision what the slowest connected edge has.
	Revision     int64 `json:"revision"`
	EdgeRevision int64 `json:"edgeRevision"`
	// Proxies connected, and Current on the newest revision.
	Proxies int32 `json:"proxies"`
	Current int32 `json:"current"`
	// Cluster is what a zone that is one shows of itself.
	Cluster *v1alpha1.ClusterStatus `json:"cluster,omitempty"`
}

// finding is one matter that needs attention.
type finding struct {
	// Subject is what it is about, for instance "zone dc1".
	Subject string `json:"subject"`
	Problem string `json:"problem"`
	// Remedy is what to do; empty when the problem's text says it.
	Remedy string `json:"remedy,omitempty"`
}

// examine makes a state plain: what is there, and what is wrong with it.
func examine(address string, s hubclient.State) health {
	h := health{Hub: hubHealth{address, s.NotReady == ""}, Zones: []zoneHealth{}, Findings: []finding{}}
	if s.NotReady != "" {
		h.find("hub", "not ready: "+s.NotReady, "Look at the hub's log; traffic goes on without it")
	}
	h.examineZones(s)
	h.examineWorkloads(s)
	h.examineProxies(s)
	for _, object := range s.Objects {
		for _, text := range complaints(object.Object) {
			h.find(subject(object), text, "")
		}
	}
	return h
}

// find adds a finding, once.
func (h *health) find(subject, problem, remedy string) {
	f := finding{subject, problem, remedy}
	for _, known := range h.Findings {
		if known == f {
			return
		}
	}
	h.Findings = append(h.Findings, f)
}

func (h *health) examineZones(s hubclient.State) {
	for _, z := range s.Zones {
		r := revisionOf(z.Name, s.Revisions)
		h.Zones = append(h.Zones, zoneHealth{z.Name, z.Status.Edges, edgeNames(z), r.Spec.Revision, r.Status.Edge, r.Status.Proxies, r.Status.Current, z.Status.Cluster})
		h.examineCluster(z)
		h.examineEdges(z, workloadsOf(z.Name, s.Workloads))
		if late := r.Status.Proxies - r.Status.Current; late > 0 {
			h.find("zone "+z.Name, fmt.Sprintf("%d of %d proxies have not acknowledged revision %d", late, r.Status.Proxies, r.Spec.Revision),
				"isthmus get proxies -A shows which; on their machines: isthmus-agent status")
		}
	}
}

// edgeNames are the edges connected, as the hub lists them in the condition.
func edgeNames(z v1alpha1.Zone) string {
	if c := meta.FindStatusCondition(z.Status.Conditions, v1alpha1.ConditionConnected); c != nil && c.Status == metav1.ConditionTrue {
		return c.Message
	}
	return ""
}

func revisionOf(zone string, all []view.Revision) view.Revision {
	for _, r := range all {
		if r.Spec.Zone == zone {
			return r
		}
	}
	return view.Revision{}
}

// examineEdges looks at a zone's conditions: Connected, and what its edges warn of. Of a zone whose edges
// are all away it says once that its workloads are not heard of.
func (h *health) examineEdges(z v1alpha1.Zone, workloads int) {
	name := "zone " + z.Name
	switch {
	case z.Status.Edges == 0 && len(z.Status.Addresses) == 0 && z.Annotations[v1alpha1.ClusterAnnotation] == "":
		h.find(name, "no edge has connected yet", "isthmus token create --role edge --zone "+z.Name+" prints the line that starts one")
	case silent(z):
		h.find(name, fmt.Sprintf("no edge is connected; traffic goes on, changes wait, and nothing is heard of its %s", count(workloads, "workload")),
			"Look at the edge's log and its way to the hub")
	}
	for _, condition := range z.Status.Conditions {
		if condition.Type != v1alpha1.ConditionConnected && wrong(condition) {
			h.find(name, condition.Reason+": "+condition.Message, "")
		}
	}
}

// silent tells whether no edge of a zone is connected.
func silent(z v1alpha1.Zone) bool {
	return z.Status.Edges == 0 || meta.IsStatusConditionFalse(z.Status.Conditions, v1alpha1.ConditionConnected)
}

// workloadsOf counts the workloads of a zone.
func workloadsOf(zone string, all []view.Workload) (n int) {
	for _, w := range all {
		if w.Spec.Zone == zone {
			n++
		}
	}
	return n
}

// examineWorkloads looks at all; pods have no agent of ours, and what ails their edge is said of their zone.
func (h *health) examineWorkloads(s hubclient.State) {
	unheard := map[string]bool{}
	for _, z := range s.Zones {
		unheard[z.Name] = silent(z)
	}
	h.Workloads.Total = len(s.Workloads)
	clusters := clusters(s)
	for _, w := range s.Workloads {
		name := fmt.Sprintf("workload %s/%s", w.Namespace, w.Name)
		if w.Spec.Host != "" {
			name += " on " + w.Spec.Host
		}
		if w.Status.Health == "Unhealthy" {
			h.Workloads.Unhealthy++
		}
		switch {
		case unheard[w.Spec.Zone]: // that is said of the zone
		case !w.Status.Connected && !clusters[w.Spec.Zone]:
			h.find(name, "its agent is not connected to an edge", "On that machine: isthmus-agent status")
		case w.Status.Health == "Unhealthy":
			h.find(name, "not healthy: "+w.Status.Reason, "It gets no requests until its health check passes")
		case w.Status.Health == "Healthy" && w.Status.Reason != "":
			h.find(name, "serves, but "+w.Status.Reason, "On that machine: isthmus-agent status")
		}
	}
}

func (h *health) examineProxies(s hubclient.State) {
	attended := attendedWorkloads(s)
	h.Proxies.Total = len(s.Proxies)
	for _, p := range s.Proxies {
		name := p.Namespace + "/" + p.Name
		if p.Status.Connected {
			h.Proxies.Connected++
		} else if attended[name] {
			h.find("proxy "+name, "its Envoy takes no configuration, though its agent is connected", "On that machine: isthmus-agent status")
		}
		for _, r := range p.Status.Rejections {
			h.find(r.Object, "Envoy refuses it: "+r.Message, "Correct the object; its last good version serves meanwhile")
		}
	}
}

// attendedWorkloads are the workloads, "namespace/name", whose agents are connected. Pods have none: what their proxies
// do is their istiod's affair.
func attendedWorkloads(s hubclient.State) map[string]bool {
	attended, clusters := map[string]bool{}, clusters(s)
	for _, w := range s.Workloads {
		attended[w.Namespace+"/"+w.Name] = w.Status.Connected && !clusters[w.Spec.Zone]
	}
	return attended
}

// clusters are the names of zones that are one.
func clusters(s hubclient.State) map[string]bool {
	names := map[string]bool{}
	for _, z := range s.Zones {
		names[z.Name] = z.Spec.Type == v1alpha1.ZoneKubernetes
	}
	return names
}

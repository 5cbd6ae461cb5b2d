package inventory

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/isthmus-mesh/isthmus/compiler"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// The labels that every workload has; what it says itself never overrides them. An edge gives
// its proxies the same.
const (
	labelWorkspace = "isthmus.dev/workspace"
	labelService   = "isthmus.dev/service"
	labelVersion   = "isthmus.dev/version"
	labelZone      = "isthmus.dev/zone"
	labelWorkload  = "isthmus.dev/workload"
)

// serviceKey names a service.
type serviceKey struct {
	Workspace string `json:"workspace"`
	Name      string `json:"name"`
}

// trait is what one workload contributes to its service's shape. Workloads alike have equal traits.
// Ports is "9080/http,9443/tls", with a third part where the workload's own port differs, and Labels "a=1,b=2", both sorted.
type trait struct {
	Zone    string `json:"zone"`
	Version string `json:"version,omitempty"`
	Ports   string `json:"ports,omitempty"`
	Labels  string `json:"labels,omitempty"`
	// Identity and Selector are told of pods only; Selector is like Labels.
	Identity string `json:"identity,omitempty"`
	Selector string `json:"selector,omitempty"`
}

func keyOf(w *feedpb.Workload) serviceKey { return serviceKey{w.Workspace, w.Service} }

func traitOf(zone string, w *feedpb.Workload) trait {
	return trait{Zone: zone, Version: w.Version, Ports: portsText(w.Ports), Labels: labelsText(labelsOf(zone, w)),
		Identity: w.Identity, Selector: labelsText(w.Selector)}
}

// sameShape tells whether two descriptions of one workload contribute the same.
func sameShape(a, b *feedpb.Workload) bool {
	return keyOf(a) == keyOf(b) && a.Role == b.Role && traitOf("", a) == traitOf("", b)
}

// labelsOf are the labels that selectors may match; the workload's own name is none, because
// it would make every workload a shape of its own.
func labelsOf(zone string, w *feedpb.Workload) map[string]string {
	labels := maps.Clone(w.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[labelWorkspace], labels[labelService], labels[labelZone] = w.Workspace, w.Service, zone
	delete(labels, labelVersion)
	if w.Version != "" {
		labels[labelVersion] = w.Version
	}
	delete(labels, labelWorkload)
	return labels
}

func portsText(ports []*feedpb.Port) string {
	sorted := slices.SortedFunc(slices.Values(ports), func(a, b *feedpb.Port) int { return int(a.Port) - int(b.Port) })
	texts := make([]string, len(sorted))
	for i, p := range sorted {
		texts[i] = strconv.Itoa(int(p.Port)) + "/" + p.Protocol
		if p.Target != 0 && p.Target != p.Port {
			texts[i] += "/" + strconv.Itoa(int(p.Target))
		}
	}
	return strings.Join(texts, ",")
}

func parsePorts(text string) []compiler.DiscoveredPort {
	var ports []compiler.DiscoveredPort
	for part := range strings.SplitSeq(text, ",") {
		number, rest, _ := strings.Cut(part, "/")
		protocol, _, _ := strings.Cut(rest, "/")
		if n, err := strconv.ParseInt(number, 10, 32); err == nil {
			ports = append(ports, compiler.DiscoveredPort{Port: int32(n), Protocol: protocol})
		}
	}
	return ports
}

// parseTargets are the workloads' own ports by port, where they differ.
func parseTargets(text string) map[int32]int32 {
	targets := map[int32]int32{}
	for part := range strings.SplitSeq(text, ",") {
		if fields := strings.Split(part, "/"); len(fields) == 3 {
			port, _ := strconv.ParseInt(fields[0], 10, 32)
			target, _ := strconv.ParseInt(fields[2], 10, 32)
			targets[int32(port)] = int32(target)
		}
	}
	return targets
}

// labelsText is unambiguous: neither "=" nor "," may stand in a label (Kubernetes' label syntax, which edges enforce).
func labelsText(labels map[string]string) string {
	texts := make([]string, 0, len(labels))
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		texts = append(texts, k+"="+labels[k])
	}
	return strings.Join(texts, ",")
}

func parseLabels(text string) map[string]string {
	labels := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		if k, v, ok := strings.Cut(part, "="); ok {
			labels[k] = v
		}
	}
	return labels
}

package compiler

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/isthmus-mesh/isthmus/api/direct"
	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/istio"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// What is outside of the mesh a workspace may tell its own callers, with ServiceEntries, and how it is reached, with
// DestinationRules about their hosts. No name and no address of the mesh can be taken that way.

// outsideKey is the unit of a host outside of the mesh, as a workspace knows it.
func outsideKey(workspace, host string) key {
	return key{unit: unitOutside, namespace: workspace, part: host}
}

// outsider is a ServiceEntry, at the hosts it makes known, or a DestinationRule about a host that is no service.
type outsider struct {
	object *direct.Object
	read   *istio.Direct
}

func (o outsider) same(other any) bool {
	p, is := other.(outsider)
	return is && o.object == p.object
}

// keysAt says that proxies of machines fetch the keys of tokens from a host.
type keysAt struct {
	from  plan.Origin
	field string
}

// sendOutside takes a ServiceEntry to the unit that makes the object, and tells its hosts.
func sendOutside(w *work, object *direct.Object, read *istio.Direct) {
	from := read.Origin()
	err := nameTaken(w, from)
	for _, host := range read.OutsideHosts() {
		if err == nil {
			err = nameInMesh(w, from.Namespace, host)
		}
	}
	for _, address := range read.OutsideAddresses() {
		if err == nil {
			err = addressInMesh(address)
		}
	}
	if err != nil {
		reportDirect(w, from, v1alpha1.ConditionAccepted, err)
		return
	}
	entry := outsider{object, read}
	w.send(key{unit: unitEntry, namespace: from.Namespace, name: from.Name}, entry)
	for _, host := range read.OutsideHosts() {
		w.send(outsideKey(from.Namespace, host), entry)
	}
}

// nameTaken refuses a name that objects made for services have, or might: the hub makes them beside.
func nameTaken(w *work, from plan.Origin) *problem.Error {
	if len(validation.IsDNS1123Label(from.Name)) > 0 {
		return problem.Invalid.Because("metadata.name: one about what is outside of the mesh is named by one DNS label, which %q is not", from.Name)
	}
	if value[*plan.Service](w, serviceKey(from.Namespace, from.Name)) != nil {
		return problem.DuplicateService.Because("metadata.name: the workspace has a service %q, for which the hub makes a %s of this name", from.Name, from.Kind)
	}
	return nil
}

// domains are those in which all names are of the mesh.
var domains = []string{plan.Domain, plan.HereDomain, "cluster.local", "svc"}

// nameInMesh refuses hosts that somebody in the mesh has, or might have.
func nameInMesh(w *work, mine, host string) *problem.Error {
	bare, dotted := strings.TrimPrefix(host, "*."), "."+host
	for _, domain := range domains {
		if strings.HasSuffix(dotted, "."+domain) || bare != host && strings.HasSuffix("."+domain, "."+bare) {
			return problem.NameInMesh.Because("spec.hosts: names of %s are the mesh's, and %q is or covers one", domain, host)
		}
	}
	first, rest, more := strings.Cut(host, ".")
	switch {
	case !more:
		return problem.NameInMesh.Because("spec.hosts: %q may be the short name of a service", host)
	case value[*workspace](w, workspaceKey(rest)) != nil || inCluster(w, mine, rest):
		return problem.NameInMesh.Because("spec.hosts: %q is the name of a service %q in %q", host, first, rest)
	}
	if owner := hostOwner(w, mine, host); owner != (object{}) {
		return problem.NameInMesh.Because("spec.hosts: %q belongs to Service %s/%s", host, owner.namespace, owner.name)
	}
	if claim := claimedBy(w, host); claim != nil && claim.workspace.Name != mine {
		return problem.HostnameClaimed.Because("spec.hosts: %q belongs to Workspace %q, which claims %q", host, claim.workspace.Name, claim.pattern)
	}
	return nil
}

// hostOwner is the service that has a host as its full name or a further one, for callers of a workspace.
func hostOwner(w *work, workspace, host string) object {
	if owner, is := named(w, host); is {
		return owner
	}
	return cmp.Or(value[object](w, key{unit: unitAlias, namespace: workspace, part: host}), value[object](w, key{unit: unitAlias, part: host}))
}

// addressInMesh refuses addresses, or networks, of which one is virtual.
func addressInMesh(address string) *problem.Error {
	prefix, err := netip.ParsePrefix(address)
	if err != nil {
		single, err := netip.ParseAddr(address)
		if err != nil {
			return problem.Invalid.Because("spec.addresses: %q is no address", address)
		}
		prefix = netip.PrefixFrom(single, single.BitLen())
	}
	if prefix.Overlaps(plan.Virtual) {
		return problem.NameInMesh.Because("spec.addresses: %s holds addresses that stand for services, which lie in %s", address, plan.Virtual)
	}
	return nil
}

// askForKeys has hosts looked for from which keys of tokens are fetched. In a cluster that is its istiod's business.
func askForKeys(w *work, read *istio.Direct) {
	from := read.Origin()
	if len(value[[]string](w, key{unit: unitReach, namespace: from.Namespace})) == 0 {
		return
	}
	for _, keys := range read.KeyHosts() {
		if hostOwner(w, from.Namespace, keys.Host) == (object{}) {
			w.send(outsideKey(from.Namespace, keys.Host), keysAt{from, keys.Field})
		}
	}
}

// outside computes unitOutside: which DestinationRule is that of the host, if the workspace knows the host.
func outside(w *work) any {
	known := false
	var rules []outsider
	var asked []keysAt
	for m := range w.members() {
		switch m := m.(type) {
		case keysAt:
			asked = append(asked, m)
		case outsider:
			if m.read.Origin().Kind == direct.ServiceEntry {
				known = true
			} else {
				rules = append(rules, m)
			}
		}
	}
	if !known {
		unknownOutside(w, rules, asked)
		return nil
	}
	slices.SortFunc(rules, func(a, b outsider) int { return older(a.object, b.object) })
	sendRules(w, rules)
	return nil
}

// unknownOutside tells those who speak of a host that nobody has made known.
func unknownOutside(w *work, rules []outsider, asked []keysAt) {
	workspace, host := w.node.key.namespace, w.node.key.part
	for _, rule := range rules {
		reportDirect(w, rule.read.Origin(), v1alpha1.ConditionAccepted,
			problem.HostNotOwned.Because("%q is no service of workspace %q", host, workspace))
	}
	for _, keys := range asked {
		reportDirect(w, keys.from, v1alpha1.ConditionResolvedRefs, problem.RefNotFound.Because(
			"%s: machines fetch keys from services and from hosts of the workspace's ServiceEntries, and %q is none; there every token is refused",
			keys.field, host))
	}
}

// sendRules takes the oldest rule about the host to the unit that makes the object; the others lose against it.
func sendRules(w *work, rules []outsider) {
	if len(rules) == 0 {
		return
	}
	host, winner := w.node.key.part, rules[0].read.Origin()
	for _, loser := range rules[1:] {
		from := loser.read.Origin()
		reportDirect(w, from, conditionConflicted, problem.Overridden.Because("host %q: %s %q is older and wins", host, winner.Kind, winner.Name))
		reportDirect(w, winner, conditionConflicted, problem.Overridden.Because("host %q: this one is older and wins over %s %q", host, from.Kind, from.Name))
	}
	err := nameTaken(w, winner)
	if field := rules[0].read.RanksByLabels(); err == nil && field != "" {
		err = problem.Unsupported.Because("%s: failoverPriority is for services of the mesh; Istio fails on it where addresses are looked up", field)
	}
	if err != nil {
		reportDirect(w, winner, v1alpha1.ConditionAccepted, err)
		return
	}
	w.send(key{unit: unitDestination, namespace: winner.Namespace, name: winner.Name}, rules[0])
}

// outsideDestination is the rule about a host outside of the mesh at a unit of destinations; nil if there is none.
func outsideDestination(w *work) any {
	for m := range w.members() {
		if rule, is := m.(outsider); is {
			return directPassed(w, rule.read, istio.DirectOutside)
		}
	}
	return nil
}

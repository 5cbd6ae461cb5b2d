package pilot

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/serviceregistry/provider"
	"istio.io/istio/pilot/pkg/serviceregistry/util/label"
	"istio.io/istio/pkg/cluster"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/labels"
	"istio.io/istio/pkg/config/schema/kind"
	"istio.io/istio/pkg/network"
	"istio.io/istio/pkg/util/sets"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/identity"
)

// registry joins services (from the hub) with workloads (the zone's own) and answers Istio's questions for
// both. Endpoints go into Istio's index as soon as either side changes.
type registry struct {
	place
	index *model.EndpointIndex
	model.NetworkGatewaysHandler

	mu        sync.RWMutex                     // guards the rest
	services  map[string]map[string][]*service // by workspace and ServiceEntry
	workloads map[string]*Workload             // by name
	spaces    map[string]map[string]*Workload  // by workspace and name
}

func newRegistry(p place, index *model.EndpointIndex) *registry {
	return &registry{
		place: p, index: index,
		services: map[string]map[string][]*service{}, workloads: map[string]*Workload{}, spaces: map[string]map[string]*Workload{},
	}
}

// putService replaces the services of a ServiceEntry and their endpoints.
func (r *registry) putService(c *config.Config) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.services[c.Namespace] == nil {
		r.services[c.Namespace] = map[string][]*service{}
	}
	before, after := r.services[c.Namespace][c.Name], r.servicesOf(c)
	r.services[c.Namespace][c.Name] = after
	for _, s := range before {
		if !slices.ContainsFunc(after, func(n *service) bool { return n.Hostname == s.Hostname }) {
			r.forget(s)
		}
	}
	for _, s := range after {
		r.refresh(s)
	}
}

// dropService removes the services of a ServiceEntry.
func (r *registry) dropService(namespace, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.services[namespace][name] {
		r.forget(s)
	}
	delete(r.services[namespace], name)
	if len(r.services[namespace]) == 0 {
		delete(r.services, namespace)
	}
}

func (r *registry) forget(s *service) {
	r.index.DeleteServiceShard(r.shard(s), string(s.Hostname), s.object.namespace, false)
}

// shard keeps the endpoints of two ServiceEntries for one host apart.
func (r *registry) shard(s *service) model.ShardKey {
	return model.ShardKey{Cluster: cluster.ID(r.zone), Provider: provider.ID("isthmus/" + s.object.name)}
}

// refresh computes a service's endpoints anew and tells what Istio must push for it. Caller holds mu.
func (r *registry) refresh(s *service) (model.ConfigKey, bool) {
	endpoints := append(r.staticEndpoints(s), r.workloadEndpoints(s)...)
	push := r.index.UpdateServiceEndpoints(r.shard(s), string(s.Hostname), s.object.namespace, endpoints, false)
	change := model.ConfigKey{Kind: kind.Endpoints, Name: string(s.Hostname), Namespace: s.object.namespace}
	if push == model.FullPush && !expected(s, endpoints) || s.Resolution != model.ClientSideLB {
		change.Kind = kind.ServiceEntry // endpoints or identities are part of the cluster
	}
	return change, push != model.NoPush
}

// expected tells whether callers accept all these endpoints' identities already.
func expected(s *service, endpoints []*model.IstioEndpoint) bool {
	return !slices.ContainsFunc(endpoints, func(e *model.IstioEndpoint) bool {
		return e.ServiceAccount != "" && !slices.Contains(s.ServiceAccounts, e.ServiceAccount)
	})
}

func (r *registry) workloadEndpoints(s *service) []*model.IstioEndpoint {
	if s.entry.WorkloadSelector == nil {
		return nil
	}
	var out []*model.IstioEndpoint
	space := r.spaces[s.object.namespace]
	for _, name := range slices.Sorted(maps.Keys(space)) {
		w := space[name]
		if w.Role == Gateway || !selects(s.entry, w.labels(r.zone)) {
			continue
		}
		for _, port := range s.entry.Ports {
			if w.serves(targetPort(port)) {
				out = append(out, r.endpoint(w, port))
			}
		}
	}
	if s.Attributes.Labels[plan.LabelLastResort] != "" && !slices.ContainsFunc(out, isHealthy) {
		for _, e := range out {
			e.HealthStatus = model.Healthy // those that are ill, rather than nobody
		}
	}
	if whole, err := strconv.ParseUint(s.Attributes.Labels[plan.LabelZoneWeight], 10, 32); err == nil {
		weigh(out, uint32(whole))
	}
	return out
}

// weigh divides a weight among the endpoints of each port.
func weigh(all []*model.IstioEndpoint, whole uint32) {
	count := map[string]uint32{}
	for _, e := range all {
		count[e.ServicePortName]++
	}
	for _, e := range all {
		e.LbWeight = max(1, whole/count[e.ServicePortName])
	}
}

func isHealthy(e *model.IstioEndpoint) bool { return e.HealthStatus == model.Healthy }

func selects(entry *networking.ServiceEntry, have map[string]string) bool {
	return entry.WorkloadSelector != nil && labels.Instance(entry.WorkloadSelector.Labels).SubsetOf(have)
}

func (r *registry) endpoint(w *Workload, port *networking.ServicePort) *model.IstioEndpoint {
	id, net := cluster.ID(r.zone), network.ID(r.network)
	health := model.Healthy
	if !w.Healthy {
		health = model.UnHealthy
	}
	return &model.IstioEndpoint{
		Addresses: w.Addresses, EndpointPort: targetPort(port),
		ServicePortName: port.Name, LegacyClusterPortKey: int(port.Number),
		Network: net, Locality: model.Locality{Label: r.label(), ClusterID: id},
		Labels:       label.AugmentLabels(w.labels(r.zone), id, r.label(), "", net),
		TLSMode:      model.IstioMutualTLSModeLabel, // never plaintext
		Namespace:    w.Workspace,
		WorkloadName: w.Name, HealthStatus: health,
		ServiceAccount: identity.Workload(r.trustDomain, w.Workspace, w.Service).String(),
	}
}

// setWorkloads changes the table; what it returns must be pushed. Reshaped are the workloads whose proxies
// need another node than they have.
func (r *registry) setWorkloads(upserts []Workload, gone []string) (push sets.Set[model.ConfigKey], reshaped []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var touched []*Workload
	for _, name := range gone {
		if w := r.workloads[name]; w != nil {
			touched, reshaped = append(touched, w), append(reshaped, name)
			r.remove(w)
		}
	}
	for i := range upserts {
		w := &upserts[i]
		if old := r.workloads[w.Name]; old != nil {
			touched = append(touched, old)
			if !old.sameShape(w) {
				reshaped = append(reshaped, w.Name)
			}
			r.remove(old)
		}
		touched = append(touched, w)
		r.add(w)
	}
	return r.refreshFor(touched), reshaped
}

func (r *registry) add(w *Workload) {
	r.workloads[w.Name] = w
	if r.spaces[w.Workspace] == nil {
		r.spaces[w.Workspace] = map[string]*Workload{}
	}
	r.spaces[w.Workspace][w.Name] = w
}

func (r *registry) remove(w *Workload) {
	delete(r.workloads, w.Name)
	delete(r.spaces[w.Workspace], w.Name)
	if len(r.spaces[w.Workspace]) == 0 {
		delete(r.spaces, w.Workspace)
	}
}

// refreshFor refreshes the services that select one of the workloads. Caller holds mu.
func (r *registry) refreshFor(touched []*Workload) sets.Set[model.ConfigKey] {
	hit := sets.New[*service]()
	for _, w := range touched {
		hit.InsertAll(r.selecting(w)...)
	}
	push := sets.New[model.ConfigKey]()
	for s := range hit {
		if change, changed := r.refresh(s); changed {
			push.Insert(change)
		}
	}
	return push
}

// selecting lists the services that select the workload. Caller holds mu.
func (r *registry) selecting(w *Workload) []*service {
	have := w.labels(r.zone)
	var out []*service
	for _, services := range r.services[w.Workspace] {
		if selects(services[0].entry, have) {
			out = append(out, services...)
		}
	}
	return out
}

// workload finds a proxy's workload by "NAME.WORKSPACE", the third part of its node identifier.
func (r *registry) workload(proxyID string) *Workload {
	name, workspace, _ := strings.Cut(proxyID, ".")
	r.mu.RLock()
	defer r.mu.RUnlock()
	if w := r.workloads[name]; w != nil && w.Workspace == workspace {
		return w
	}
	return nil
}

// isGateway tells whether the identity is a gateway's.
func (r *registry) isGateway(service, workspace string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, w := range r.spaces[workspace] {
		if w.Service == service && w.Role == Gateway {
			return true
		}
	}
	return false
}

// explicit lists the workloads without capture, sorted by name.
func (r *registry) explicit() []*Workload {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var out []*Workload
	for _, w := range r.workloads {
		if w.isExplicit() {
			out = append(out, w)
		}
	}
	slices.SortFunc(out, func(a, b *Workload) int { return strings.Compare(a.Name, b.Name) })
	return out
}

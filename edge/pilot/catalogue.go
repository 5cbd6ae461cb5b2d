package pilot

import (
	"iter"
	"slices"
	"strings"

	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pkg/config/host"
	"istio.io/istio/pkg/config/labels"
)

// This file is the registry as Istio asks it: [model.ServiceDiscovery].

// Services implements [model.ServiceDiscovery].
func (r *registry) Services() []*model.Service {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]*model.Service, 0, len(r.services))
	for s := range r.all() {
		out = append(out, s.Service)
	}
	slices.SortFunc(out, func(a, b *model.Service) int {
		return strings.Compare(a.Attributes.Namespace+"/"+a.Attributes.K8sAttributes.ObjectName+"/"+string(a.Hostname),
			b.Attributes.Namespace+"/"+b.Attributes.K8sAttributes.ObjectName+"/"+string(b.Hostname))
	})
	return out
}

// GetService implements [model.ServiceDiscovery].
func (r *registry) GetService(name host.Name) *model.Service {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for s := range r.all() {
		if s.Hostname == name {
			return s.Service
		}
	}
	return nil
}

// all yields every service, in no order. Caller holds mu.
func (r *registry) all() iter.Seq[*service] {
	return func(yield func(*service) bool) {
		for _, space := range r.services {
			for _, services := range space {
				for _, s := range services {
					if !yield(s) {
						return
					}
				}
			}
		}
	}
}

// GetProxyServiceTargets implements [model.ServiceDiscovery]: what the proxy's workload serves.
func (r *registry) GetProxyServiceTargets(proxy *model.Proxy) []model.ServiceTarget {
	w := r.workload(proxy.ID)
	if w == nil || w.Role == Gateway {
		return nil
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	var out []model.ServiceTarget
	for _, s := range r.selecting(w) {
		out = append(out, targets(s, w)...)
	}
	return out
}

func targets(s *service, w *Workload) []model.ServiceTarget {
	var out []model.ServiceTarget
	for i, port := range s.entry.Ports {
		if w.serves(targetPort(port)) {
			out = append(out, model.ServiceTarget{
				Service: s.Service,
				Port:    model.ServiceInstancePort{ServicePort: s.Ports[i], TargetPort: targetPort(port)},
			})
		}
	}
	return out
}

// GetProxyWorkloadLabels implements [model.ServiceDiscovery].
func (r *registry) GetProxyWorkloadLabels(proxy *model.Proxy) labels.Instance {
	if w := r.workload(proxy.ID); w != nil {
		return w.labels(r.zone)
	}
	return nil
}

// MCSServices implements [model.ServiceDiscovery]: there are none.
func (r *registry) MCSServices() []model.MCSServiceInfo { return nil }

// NetworkGateways implements [model.ServiceDiscovery]: other zones' gateways are endpoints of their services.
func (r *registry) NetworkGateways() []model.NetworkGateway { return nil }

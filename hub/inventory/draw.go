package inventory

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	viewv1 "github.com/isthmus-mesh/isthmus/api/view/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler"
)

// pictures are view objects to show and names to take away.
type pictures struct {
	workloads                                  []*viewv1.Workload
	services                                   []*viewv1.DiscoveredService
	revisions                                  []*viewv1.Revision
	workloadsGone, servicesGone, revisionsGone []types.NamespacedName
}

// pictures draws what changed, but for proxies, and forgets that it did.
func (i *Inventory) pictures() pictures {
	i.mu.Lock()
	defer i.mu.Unlock()
	var p pictures
	for s := range i.views.workloads {
		if z, w := i.find(s); w != nil {
			p.workloads = append(p.workloads, drawWorkload(s, w, z.edge(w.edge).connected))
		} else {
			p.workloadsGone = append(p.workloadsGone, s.NamespacedName)
		}
	}
	i.drawServices(&p)
	for name := range i.views.revisions {
		if z := i.zones[name]; z != nil {
			p.revisions = append(p.revisions, drawRevision(name, z))
		} else {
			p.revisionsGone = append(p.revisionsGone, types.NamespacedName{Name: name})
		}
	}
	clear(i.views.workloads)
	clear(i.views.services)
	clear(i.views.revisions)
	return p
}

// proxyPictures draws the proxies that changed, and forgets that they did.
func (i *Inventory) proxyPictures() (proxies []*viewv1.Proxy, gone []types.NamespacedName) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for s := range i.views.proxies {
		if z, w := i.find(s); w != nil {
			proxies = append(proxies, i.drawProxy(s, z, w))
		} else {
			gone = append(gone, s.NamespacedName)
		}
	}
	clear(i.views.proxies)
	return proxies, gone
}

// find returns the workload that is shown; nil if it is gone.
func (i *Inventory) find(s shown) (*zoneRecord, *workload) {
	z := i.zones[s.zone]
	if z == nil || z.workloads[s.Name] == nil || z.workloads[s.Name].said.Workspace != s.Namespace {
		return nil, nil
	}
	return z, z.workloads[s.Name]
}

func drawWorkload(s shown, w *workload, edgeConnected bool) *viewv1.Workload {
	said := w.said
	view := &viewv1.Workload{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name, Labels: labelsOf(s.zone, said)},
		Spec: viewv1.WorkloadSpec{
			Zone: s.zone, Service: said.Service, Version: said.Version, Host: said.Host,
			Addresses: slices.Clone(said.Addresses), Ports: drawPorts(parsePorts(portsText(said.Ports))),
		},
		Status: viewv1.WorkloadStatus{Health: "Unhealthy", Connected: said.Connected && edgeConnected, Reason: said.Reason},
	}
	switch {
	case !edgeConnected:
		view.Status.Health, view.Status.Reason = "Unknown", "edge "+w.edge+" is not connected to the hub"
	case !said.Connected:
		view.Status.Health = "Unknown"
	case said.Healthy:
		view.Status.Health = "Healthy"
	}
	return view
}

func (i *Inventory) drawProxy(s shown, z *zoneRecord, w *workload) *viewv1.Proxy {
	p, known := z.proxies[s.Name]
	role := w.said.Role
	if role == "" {
		role = "sidecar"
	}
	return &viewv1.Proxy{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name},
		Spec:       viewv1.ProxySpec{Zone: s.zone, Service: w.said.Service, Role: role, Version: w.said.AgentVersion},
		Status: viewv1.ProxyStatus{
			Connected: known && z.edge(p.edge).connected, Revision: p.revision, Rejections: i.drawRejections(s),
		},
	}
}

// drawRejections is what a proxy refused, by the objects that caused it, if any did.
func (i *Inventory) drawRejections(s shown) []viewv1.Rejection {
	var all []viewv1.Rejection
	z := i.zones[s.zone]
	for name := range z.edges {
		for key, rejection := range i.refusals.byEdge[edgeKey{s.zone, name}] {
			if key.proxy != s.Name {
				continue
			}
			objects := causes(rejection)
			for _, o := range objects {
				all = append(all, viewv1.Rejection{Object: o.Kind + "/" + o.Namespace + "/" + o.Name, Message: rejection.Message})
			}
			if len(objects) == 0 { // the fault is the proxy's own, or nobody's
				all = append(all, viewv1.Rejection{Object: rejection.Resource, Message: rejection.Message})
			}
		}
	}
	slices.SortFunc(all, func(a, b viewv1.Rejection) int {
		if a.Object != b.Object {
			return strings.Compare(a.Object, b.Object)
		}
		return strings.Compare(a.Message, b.Message)
	})
	return all
}

// drawServices counts workloads once for all services that changed.
func (i *Inventory) drawServices(p *pictures) {
	if len(i.views.services) == 0 {
		return
	}
	counts := map[serviceKey]viewv1.DiscoveredServiceStatus{}
	for _, z := range i.zones {
		for _, w := range z.workloads {
			key := keyOf(w.said)
			if w.said.Role == roleGateway || !i.views.services[key] {
				continue
			}
			c := counts[key]
			c.Workloads++
			if w.said.Healthy && w.said.Connected && z.edge(w.edge).connected {
				c.Healthy++
			}
			counts[key] = c
		}
	}
	for key := range i.views.services {
		name := types.NamespacedName{Namespace: key.Workspace, Name: key.Name}
		shape := i.shapes.told[key]
		if shape == nil {
			p.servicesGone = append(p.servicesGone, name)
			continue
		}
		p.services = append(p.services, drawService(key, shape, counts[key]))
	}
}

func drawService(key serviceKey, shape *compiler.Discovered, status viewv1.DiscoveredServiceStatus) *viewv1.DiscoveredService {
	return &viewv1.DiscoveredService{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Workspace, Name: key.Name},
		Spec: viewv1.DiscoveredServiceSpec{
			Hosts: []string{key.Name, key.Name + "." + key.Workspace, key.Name + "." + key.Workspace + ".mesh"},
			Ports: drawPorts(shape.Ports), Versions: shape.Versions, Zones: shape.Zones,
		},
		Status: status,
	}
}

func drawPorts(ports []compiler.DiscoveredPort) []viewv1.WorkloadPort {
	drawn := make([]viewv1.WorkloadPort, len(ports))
	for i, p := range ports {
		drawn[i] = viewv1.WorkloadPort{Port: p.Port, Protocol: p.Protocol}
	}
	return drawn
}

func drawRevision(name string, z *zoneRecord) *viewv1.Revision {
	r := &viewv1.Revision{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: viewv1.RevisionSpec{Zone: name, Revision: z.published}}
	first := true
	for _, e := range z.edges {
		if e.connected && (first || e.accepted < r.Status.Edge) {
			r.Status.Edge, first = e.accepted, false
		}
	}
	for _, p := range z.proxies {
		if !z.edge(p.edge).connected {
			continue
		}
		r.Status.Proxies++
		if p.revision >= z.published {
			r.Status.Current++
		}
	}
	return r
}

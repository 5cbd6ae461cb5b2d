package pilot

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/protocol"
	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/config/schema/kind"
	"istio.io/istio/pkg/util/sets"
)

// A workload with explicit capture has listeners of its own instead of a capture: one per port it serves, an
// HTTP proxy, and one per upstream. Istio makes the most of them from a Sidecar object for that workload alone:
//
//   - TCP upstreams are egress listeners. Istio wants the service's port there, so each is put at a stand-in
//     address and moved to the right one when listeners are generated.
//   - HTTP upstreams are copies of the HTTP proxy, each with its part of the proxy's routes.
type explicitSidecar struct {
	config config.Config
	proxy  string // name of the HTTP proxy's listener
	hidden bool   // nobody asked for the HTTP proxy: it only carries the scope and the copies
	route  string // the HTTP proxy's
	moved  map[string]hostPort
	copies []upstreamCopy
	// amiss says what could not be made.
	amiss []string
}

// upstreamCopy is a listener for an HTTP upstream.
type upstreamCopy struct {
	at        hostPort
	authority string
}

type hostPort struct {
	host string
	port uint32
}

// route is the name of the upstream's route table.
func (c upstreamCopy) route() string { return "upstream/" + c.at.listener() }

func (a hostPort) listener() string { return a.host + "_" + strconv.Itoa(int(a.port)) }

func parseHostPort(text string) (hostPort, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return hostPort{}, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return hostPort{host, uint32(n)}, err
}

// explicits are the rendered ones, by workload; generators read them.
type explicits struct {
	mu    sync.RWMutex // guards named
	named map[string]*explicitSidecar
}

func (x *explicits) of(proxy *model.Proxy) *explicitSidecar {
	name, _, _ := strings.Cut(proxy.ID, ".")
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.named[name]
}

// renderExplicit brings the Sidecars of all workloads with explicit capture up to date, and returns which
// changed. Caller holds Pilot's mu.
func (p *Pilot) renderExplicit() sets.Set[model.ConfigKey] {
	changed, now := sets.New[model.ConfigKey](), map[string]*explicitSidecar{}
	for _, w := range p.registry.explicit() {
		x := p.renderOne(w)
		now[w.Name] = x
		old := p.explicit.named[w.Name]
		if old == nil || !old.equal(x) {
			p.store.put(x.config)
			changed.Insert(x.key())
		}
		if len(x.amiss) > 0 && (old == nil || !slices.Equal(old.amiss, x.amiss)) {
			p.log.Warn("listeners of the workload are missing", "workload", w.Name, "missing", x.amiss)
		}
	}
	for name, old := range p.explicit.named {
		if now[name] == nil {
			p.store.drop(gvk.Sidecar, old.config.Namespace, old.config.Name)
			changed.Insert(old.key())
		}
	}
	p.explicit.mu.Lock()
	p.explicit.named = now
	p.explicit.mu.Unlock()
	return changed
}

func (x *explicitSidecar) key() model.ConfigKey {
	return model.ConfigKey{Kind: kind.Sidecar, Name: x.config.Name, Namespace: x.config.Namespace}
}

func (x *explicitSidecar) equal(o *explicitSidecar) bool {
	return x.config.Namespace == o.config.Namespace && slices.Equal(x.copies, o.copies) &&
		fmt.Sprint(x.moved) == fmt.Sprint(o.moved) && // maps print sorted
		proto.Equal(x.config.Spec.(*networking.Sidecar), o.config.Spec.(*networking.Sidecar))
}

// unasked is where the HTTP proxy stands in for one nobody asked for.
var unasked = hostPort{"127.255.255.254", 1}

func (p *Pilot) renderOne(w *Workload) *explicitSidecar {
	spec := &networking.Sidecar{WorkloadSelector: &networking.WorkloadSelector{Labels: map[string]string{LabelWorkload: w.Name}}}
	x := &explicitSidecar{moved: map[string]hostPort{}, config: config.Config{
		Meta: config.Meta{GroupVersionKind: gvk.Sidecar, Namespace: w.Workspace, Name: "isthmus-workload-" + w.Name, Domain: Domain},
		Spec: spec,
	}}
	for _, port := range w.Ports {
		spec.Ingress = append(spec.Ingress, ingress(w, port))
	}
	at, err := parseHostPort(cmp.Or(w.HTTPProxy, net.JoinHostPort(unasked.host, "1")))
	if err != nil {
		x.amiss = append(x.amiss, fmt.Sprintf("HTTP proxy at %q: %v", w.HTTPProxy, err))
		at = unasked
	}
	x.proxy, x.hidden, x.route = at.listener(), at == unasked, strconv.Itoa(int(at.port))
	spec.Egress = append(spec.Egress, egress(at, "HTTP_PROXY", p.scope(w.Workspace)))
	for i, u := range w.Upstreams {
		if err := p.renderUpstream(x, spec, w, i, u); err != nil {
			x.amiss = append(x.amiss, fmt.Sprintf("upstream %s:%d at %q: %v", u.Host, u.Port, u.Listen, err))
		}
	}
	return x
}

func ingress(w *Workload, port Port) *networking.IstioIngressListener {
	return &networking.IstioIngressListener{
		Port: &networking.SidecarPort{Number: port.Port, Protocol: strings.ToUpper(port.Protocol), Name: fmt.Sprintf("%s-%d", port.Protocol, port.Port)},
		Bind: w.address(), CaptureMode: networking.CaptureMode_NONE,
		DefaultEndpoint: "127.0.0.1:" + strconv.Itoa(int(cmp.Or(port.Target, port.Port))),
	}
}

func egress(at hostPort, protocol string, hosts []string) *networking.IstioEgressListener {
	return &networking.IstioEgressListener{
		Port: &networking.SidecarPort{Number: at.port, Protocol: protocol, Name: strings.ToLower(protocol)},
		Bind: at.host, CaptureMode: networking.CaptureMode_NONE, Hosts: hosts,
	}
}

// scope is what the workspace may see: the hosts of its Sidecar, or everything it is shown.
func (p *Pilot) scope(workspace string) []string {
	hosts := sets.New[string]()
	for _, c := range p.store.List(gvk.Sidecar, workspace) {
		spec := c.Spec.(*networking.Sidecar)
		if spec.WorkloadSelector != nil {
			continue
		}
		for _, e := range spec.Egress {
			hosts.InsertAll(e.Hosts...)
		}
	}
	if len(hosts) == 0 {
		return []string{"*/*"}
	}
	return sets.SortedList(hosts)
}

// renderUpstream adds what listens for one upstream. The error says why nothing can.
func (p *Pilot) renderUpstream(x *explicitSidecar, spec *networking.Sidecar, w *Workload, i int, u Upstream) error {
	at, err := parseHostPort(u.Listen)
	if err != nil {
		return err
	}
	s, port := p.registry.find(w.Workspace, u.Host, u.Port)
	if s == nil {
		return errors.New("no such service or port yet")
	}
	if protocol.Parse(string(port.Protocol)).IsHTTP() {
		x.copies = append(x.copies, upstreamCopy{at, fmt.Sprintf("%s:%d", s.Hostname, u.Port)})
		return nil
	}
	standIn := hostPort{fmt.Sprintf("127.255.%d.%d", i/250, i%250+1), u.Port}
	x.moved[standIn.listener()] = at
	spec.Egress = append(spec.Egress, egress(standIn, "TCP", []string{s.object.namespace + "/" + string(s.Hostname)}))
	return nil
}

// find looks a service up as an application in the workspace would name it: "ratings", "ratings.shop" or in full.
func (r *registry) find(workspace, name string, number uint32) (*service, *model.Port) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, full := range []string{name, name + "." + Domain, name + "." + workspace + "." + Domain} {
		for s := range r.all() {
			if port, ok := s.Ports.GetByPort(int(number)); ok && string(s.Hostname) == full {
				return s, port
			}
		}
	}
	return nil, nil
}

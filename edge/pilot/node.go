package pilot

import (
	"maps"
	"reflect"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/structpb"
	"istio.io/istio/pilot/pkg/model"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// NodeID is the node identifier that the workload's Envoy must use: Istio's TYPE~ADDRESS~NAME.WORKSPACE~DOMAIN.
// Only the name counts; the rest of what a proxy says about itself is replaced.
func (p *Pilot) NodeID(w Workload) string { return w.nodeID() }

func (w *Workload) nodeID() string {
	kind := model.SidecarProxy
	if w.Role == Gateway {
		kind = model.Router
	}
	return strings.Join([]string{string(kind), w.address(), w.Name + "." + w.Workspace, w.Workspace + "." + Domain}, "~")
}

// proxyID takes "NAME.WORKSPACE" out of a node identifier; empty when it has another form.
func proxyID(nodeID string) string {
	if parts := strings.Split(nodeID, "~"); len(parts) == 4 {
		return parts[2]
	}
	return ""
}

func (w *Workload) address() string {
	if len(w.Addresses) == 0 {
		return "127.0.0.1"
	}
	return w.Addresses[0]
}

func (w *Workload) isExplicit() bool { return w.Capture == Explicit && w.Role != Gateway }

// labels are the user's and ours on top.
func (w *Workload) labels(zone string) map[string]string {
	out := maps.Clone(w.Labels)
	if out == nil {
		out = map[string]string{}
	}
	maps.DeleteFunc(out, func(k, _ string) bool { return strings.HasPrefix(k, "isthmus.dev/") })
	out[plan.LabelWorkspace], out[plan.LabelService], out[LabelWorkload], out[plan.LabelZone] = w.Workspace, w.Service, w.Name, zone
	if w.Version != "" {
		out[plan.LabelVersion] = w.Version
	}
	if w.Role == Gateway {
		out[plan.LabelGateway] = w.Service
	}
	return out
}

// serves tells whether the proxy answers at the port. Workloads that declare none are taken at the service's word.
func (w *Workload) serves(port uint32) bool {
	for _, p := range w.Ports {
		if p.Port == port {
			return true
		}
	}
	return len(w.Ports) == 0
}

// sameShape tells whether nothing but health differs, so that the proxy's node stays as it is.
func (w *Workload) sameShape(other *Workload) bool {
	a, b := *w, *other
	a.Healthy = b.Healthy
	return reflect.DeepEqual(a, b)
}

// node is what Istio is told about the workload's proxy.
func (p place) node(w *Workload) *corev3.Node {
	interception := model.InterceptionRedirect
	if w.isExplicit() {
		interception = model.InterceptionNone
	}
	labels := map[string]any{}
	for k, v := range w.labels(p.zone) {
		labels[k] = v
	}
	metadata, _ := structpb.NewStruct(map[string]any{ // cannot fail: strings only
		"NAMESPACE": w.Workspace, "SERVICE_ACCOUNT": w.Service, "WORKLOAD_NAME": w.Service,
		"CLUSTER_ID": p.zone, "NETWORK": p.network, "MESH_ID": p.trustDomain, "LABELS": labels,
		"INSTANCE_IPS": strings.Join(w.Addresses, ","), "INTERCEPTION_MODE": string(interception),
		"ISTIO_VERSION": istioVersion, "DNS_CAPTURE": "true",
	})
	return &corev3.Node{
		Id: w.nodeID(), Cluster: w.Service + "." + w.Workspace, Metadata: metadata,
		Locality: &corev3.Locality{Region: p.region, Zone: p.locality},
	}
}

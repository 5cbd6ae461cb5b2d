package edge

import (
	"github.com/isthmus-mesh/isthmus/edge/admission"
	"github.com/isthmus-mesh/isthmus/edge/pilot"
	"github.com/isthmus-mesh/isthmus/edge/roster"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// toPilot is a workload as Pilot knows it.
func toPilot(w *roster.Workload) pilot.Workload {
	r := w.Registration
	out := pilot.Workload{
		Name: w.Name, Workspace: w.Workspace, Service: w.Service, Version: r.Version, Role: pilot.Sidecar,
		Addresses: r.Addresses, Labels: r.Labels, Healthy: w.Healthy, Capture: pilot.Redirect, HTTPProxy: r.HttpProxy,
	}
	if w.Role == admission.RoleGateway {
		out.Role = pilot.Gateway
	}
	if r.Capture == machinepb.Capture_EXPLICIT {
		out.Capture = pilot.Explicit
	}
	for _, port := range r.Ports {
		out.Ports = append(out.Ports, pilot.Port{Port: port.Port, Protocol: port.Protocol, Target: port.Target})
	}
	for _, u := range r.Upstreams {
		out.Upstreams = append(out.Upstreams, pilot.Upstream{Host: u.Host, Port: u.Port, Listen: u.Listen})
	}
	return out
}

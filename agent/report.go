package agent

import (
	"context"
	"os"
	"strconv"
	"strings"

	"github.com/isthmus-mesh/isthmus/agent/status"
)

// report says how everything is.
func (a *agent) report(ctx context.Context) *status.Report {
	c, known := a.holder.now.Load(), loadMembership(a.folder.member())
	r := &status.Report{
		Warnings: a.board.Warnings(), Workload: known.Workload,
		Identity: c.ID, Role: c.Role, Zone: c.Zone, Workspace: c.Workspace, Service: c.Service,
		Edge: a.link.Edge(), Edges: a.link.Edges(), CertificateEnds: c.tls.Leaf.NotAfter,
		Capture: a.capture.String(), Names: -1, Envoy: a.reportEnvoy(ctx),
		Agent: status.AgentReport{Version: a.config.Version, PID: os.Getpid(), Started: a.started, MemoryBytes: residentBytes()},
	}
	if a.names != nil {
		r.Names = a.names.Len()
	}
	r.Ready = len(r.Warnings) == 0 && r.Envoy.Ready && r.Envoy.Connected && r.Edge != "" && a.health.whole().GetHealthy()
	return r
}

func (a *agent) reportEnvoy(ctx context.Context) status.EnvoyReport {
	p, r := a.proxy.Load(), a.relay
	if p == nil {
		return status.EnvoyReport{State: "waiting for an edge"}
	}
	s := p.State()
	report := status.EnvoyReport{
		Ready: s.Ready, State: s.Info.State, PID: s.PID, Adopted: s.Adopted, Version: s.Info.Version, Holds: map[string]int{},
	}
	report.Connected, _ = r.Connected()
	report.Ended = a.crashes.words()
	for typeURL, count := range r.Holds() {
		report.Holds[shortType(typeURL)] = count
	}
	if stats, err := p.Admin().Stats(ctx); err == nil {
		report.Listeners, report.Clusters, report.Connections, report.MemoryBytes = stats.Listeners, stats.Clusters, stats.Connections, stats.Memory
	}
	return report
}

// shortType is the last part of a type's name.
func shortType(typeURL string) string {
	return typeURL[strings.LastIndexAny(typeURL, "./")+1:]
}

// residentBytes is the memory the agent occupies, from /proc/self/statm (proc_pid_statm(5)).
func residentBytes() int {
	text, err := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.Atoi(fields[1])
	return pages * os.Getpagesize()
}

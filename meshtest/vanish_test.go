package meshtest

import (
	"fmt"
	"strings"
	"time"
)

// lost is what an edge logs of a workload that it takes out of service.
const lost = "workload lost"

// machineVanishes pulls a machine's cable: nobody is told. It is missed after eight seconds of silence and probed for two.
func machineVanishes(f fault) {
	rv2, edge := f.Machines["rv2"], f.zone.Edges[0]
	before := strings.Count(edge.Log(), lost)
	f.while(func() {
		rv2.Cut()
		if took := f.logs(edge, lost, before); took > 15*time.Second {
			f.Errorf("a machine that vanished was out of service after %v, want about ten seconds", took)
		}
		f.shuns("rv2")
		f.w.Says("on rv2: its agent is not connected to an edge\n")
		rv2.Heal()
		f.uses("rv2")
		f.well()
	}) // what it carried is lost
}

// edgeAlone cuts an edge off from all its machines, but not from the hub. It takes nobody out of service: it is itself the
// one that nobody hears.
func edgeAlone(f fault) {
	edge := f.zone.Edges[0]
	before := strings.Count(edge.Log(), lost)
	f.while(func() {
		for _, m := range f.Machines {
			f.w.LAN.Cut(edge.Machine.Host, m.Host)
			f.w.LAN.Cut(m.Host, edge.Machine.Host)
		}
		f.logs(edge, "no machine answers", 0)
		f.w.Says(" 0 connected")
		for _, m := range f.Machines {
			f.w.LAN.Heal(edge.Machine.Host, m.Host)
		}
		f.well()
	}).MustLoseNothing(f)
	if strings.Count(edge.Log(), lost) > before {
		f.Errorf("an edge that was cut off took workloads out of service:\n%s", edge.Log())
	}
}

// logs waits until an edge logs something that it has logged a number of times before, and returns how long that took.
func (f fault) logs(edge *Edge, what string, before int) time.Duration {
	f.Helper()
	took := Eventually(f, "the edge logs "+what, func() error {
		if log := edge.Log(); strings.Count(log, what) <= before {
			return fmt.Errorf("%s", log)
		}
		return nil
	})
	f.Logf("%q after %v", what, took.Round(100*time.Millisecond))
	return took
}

package agent

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/isthmus-mesh/isthmus/agent/health"
	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// How the application is asked.
const (
	checkInterval = time.Second
	// glanceInterval is how often the kernel is asked in between whether the application still listens. That takes a
	// five-thousandth of a core, and the application has nothing to do with it.
	glanceInterval = 250 * time.Millisecond
	checkTimeout   = time.Second
	checkFall      = 2
	checkRise      = 1
)

// healthState is what makes a workload healthy: its Envoy serves, its traffic gets there and its
// application answers.
type healthState struct {
	changed chan struct{} // receives after changes

	mu          sync.Mutex // guards the rest
	envoy       *machinepb.Health
	capture     *machinepb.Health
	application *machinepb.Health
	remark      string // what should be known though all is well
}

func (h *healthState) setApplication(healthy bool, reason string) {
	h.set(&h.application, &machinepb.Health{Healthy: healthy, Reason: reason})
}

func (h *healthState) setEnvoy(healthy bool, reason string) {
	h.set(&h.envoy, &machinepb.Health{Healthy: healthy, Reason: reason})
}

func (h *healthState) setCapture(healthy bool, reason string) {
	h.set(&h.capture, &machinepb.Health{Healthy: healthy, Reason: reason})
}

// envoyReady tells whether Envoy serves.
func (h *healthState) envoyReady() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.envoy.GetHealthy()
}

func (h *healthState) setRemark(text string) {
	h.mu.Lock()
	h.remark = text
	h.mu.Unlock()
	h.tell()
}

func (h *healthState) set(part **machinepb.Health, to *machinepb.Health) {
	h.mu.Lock()
	*part = to
	h.mu.Unlock()
	h.tell()
}

func (h *healthState) tell() {
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// whole is the workload's health; nil while a part has said nothing.
func (h *healthState) whole() *machinepb.Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, part := range []*machinepb.Health{h.envoy, h.capture, h.application} {
		if !part.GetHealthy() {
			return part
		}
	}
	return &machinepb.Health{Healthy: true, Reason: h.remark}
}

// watchHealth asks the application how it is.
func (a *agent) watchHealth(ctx context.Context) error {
	check, err := a.settings.healthCheck()
	if err != nil {
		return invalid("%v", err)
	}
	if check == nil {
		a.health.setApplication(true, "")
		return nil
	}
	tick := time.NewTicker(checkInterval)
	defer tick.Stop()
	rules := health.Rules{Tick: tick.C, Timeout: checkTimeout, Fall: checkFall, Rise: checkRise}
	if port := health.LocalPort(a.settings.checked()); port != 0 {
		glance := time.NewTicker(glanceInterval)
		defer glance.Stop()
		rules.Glance = glance.C
		rules.Gone = func() bool { listens, err := health.Listens(port); return err == nil && !listens }
	}
	return health.Watch(ctx, check, rules, func(healthy bool, reason string) {
		a.config.Log.Info("application", "healthy", healthy, "reason", reason)
		a.board.Put("application", problem.ApplicationUnhealthy, reason)
		a.health.setApplication(healthy, reason)
	})
}

// tellHealth tells the edge when the workload's health changes.
func (a *agent) tellHealth(ctx context.Context) error {
	var told *machinepb.Health
	for {
		select {
		case <-a.health.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
		if now := a.health.whole(); now != nil && !proto.Equal(now, told) {
			a.link.Report(now)
			told = now
		}
	}
}

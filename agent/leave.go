package agent

import (
	"context"
	"sync"
	"time"

	"github.com/isthmus-mesh/isthmus/agent/capture"
	"github.com/isthmus-mesh/isthmus/agent/envoy"
)

// leaveTime is how long callers may take to learn that the workload leaves, which an edge bounds too. If
// no edge answers it is how long one is waited for.
const leaveTime = 5 * time.Second

// departure is the leaving of a workload, asked for once or several times.
type departure struct {
	once sync.Once
	// asked is closed when somebody wants the workload to leave, gone when it has left.
	asked, gone chan struct{}
}

func newDeparture() *departure {
	return &departure{asked: make(chan struct{}), gone: make(chan struct{})}
}

func (d *departure) ask() { d.once.Do(func() { close(d.asked) }) }

// askToLeave is asked by another command, and answers when the workload has left.
func (a *agent) askToLeave(ctx context.Context) error {
	a.departure.ask()
	select {
	case <-a.departure.gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// awaitLeave ends the agent with [errLeft] when somebody wants the workload to leave and it has.
func (a *agent) awaitLeave(ctx context.Context) error {
	select {
	case <-a.config.Leave:
	case <-a.departure.asked:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer close(a.departure.gone)
	a.leave(ctx)
	return errLeft
}

// leave takes the workload out of service: callers first, so that no request is on its way to an Envoy
// that is gone.
func (a *agent) leave(ctx context.Context) {
	a.config.Log.Info("leaving")
	a.relay.Seal()
	bounded, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	if err := a.link.Leave(bounded); err != nil {
		a.config.Log.Warn("no edge confirms that callers know", "err", err)
	}
	a.lastProxy().Drain(ctx)
	if a.capture.redirect {
		if err := capture.Remove(ctx); err != nil {
			a.config.Log.Error("the rules that capture traffic cannot be removed", "err", err)
		}
	}
	a.config.Log.Info("left")
}

// lastProxy is the Envoy there is. An agent that lives only to leave may not have looked for it yet.
func (a *agent) lastProxy() *envoy.Proxy {
	a.proxy.CompareAndSwap(nil, envoy.New(a.spec, a.proxyChanged, a.config.Log))
	return a.proxy.Load()
}

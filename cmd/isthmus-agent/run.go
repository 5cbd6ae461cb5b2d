package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/isthmus-mesh/isthmus/agent"
	"github.com/isthmus-mesh/isthmus/tools/envoy"
)

func (p *program) run() *cobra.Command {
	return &cobra.Command{
		Use: "run", Short: "Go on as the workload or gateway this machine joined as", Args: cobra.NoArgs,
		Long: `Run with the settings and the identity of an earlier join. An Envoy that is running is
taken over. While no edge answers, Envoy serves what it accepted last, after a reboot
too.

What join was told is in agent.json in the data directory and may be edited.

Ctrl-C takes the workload out of service and ends Envoy. SIGTERM ends the agent
alone: Envoy goes on serving, and the next agent takes it over.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.live(c.Context(), func(context.Context) error { return nil }, false)
		},
	}
}

// live does first things first and then runs the agent until it is told to stop.
func (p *program) live(ctx context.Context, first func(context.Context) error, only bool) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	err := first(ctx)
	stopped := ctx.Err() != nil
	stop()
	if err != nil || only || stopped {
		return err
	}
	ctx, leave, done := p.signals(context.WithoutCancel(ctx))
	defer done()
	return agent.Run(ctx, p.config(leave))
}

func (p *program) config(leave <-chan struct{}) agent.Config {
	return agent.Config{
		Data: p.data, Version: version, Leave: leave, Now: time.Now, Log: p.log.logger(p.errOut), EnvoyVersion: envoy.Version,
		FindEnvoy: func(ctx context.Context) (string, error) { return envoy.Path(ctx, p.errOut) },
	}
}

// signals make the first SIGINT a wish to leave, and the second or any SIGTERM the end. What SIGTERM
// means for a machine that should leave when stopped is up to the agent.
func (p *program) signals(parent context.Context) (ctx context.Context, leave <-chan struct{}, done func()) {
	ctx, cancel := context.WithCancel(parent)
	received, wish := make(chan os.Signal, 2), make(chan struct{}, 1)
	signal.Notify(received, os.Interrupt, syscall.SIGTERM)
	go func() {
		leaves := agent.LeavesOnStop(p.data)
		for {
			select {
			case s := <-received:
				if s != os.Interrupt && !leaves || len(wish) > 0 {
					cancel()
					return
				}
				leaves = false
				wish <- struct{}{}
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, wish, func() { signal.Stop(received); cancel() }
}

package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/isthmus-mesh/isthmus/agent"
	"github.com/isthmus-mesh/isthmus/agent/status"
)

func (p *program) leave() *cobra.Command {
	var forget bool
	c := &cobra.Command{
		Use: "leave", Short: "Take this machine out of service", Args: cobra.NoArgs,
		Long: `Tell callers that this machine goes, let Envoy finish what was begun, end Envoy and the
agent, and remove the rules that redirect traffic. It returns when that is done; no
request is lost. "isthmus-agent run" brings the machine back.`,
		RunE: func(c *cobra.Command, _ []string) error {
			err := status.Leave(c.Context(), agent.Socket(p.data))
			if errors.Is(err, status.ErrNotRunning) {
				err = p.leaveAlone(c.Context())
			}
			if err == nil && forget {
				err = agent.Forget(p.data)
			}
			return err
		},
	}
	c.Flags().BoolVar(&forget, "forget", false, "delete the identity and all settings, so that another token can be used")
	return c
}

// leaveAlone leaves while no agent runs: it is one for a moment.
func (p *program) leaveAlone(ctx context.Context) error {
	leave := make(chan struct{})
	close(leave)
	return agent.Run(ctx, p.config(leave))
}

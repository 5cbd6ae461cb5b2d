package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/isthmus-mesh/isthmus/agent"
	"github.com/isthmus-mesh/isthmus/agent/status"
	"github.com/isthmus-mesh/isthmus/api/problem"
)

// statusTime bounds a question to the agent.
const statusTime = 10 * time.Second

func (p *program) status() *cobra.Command {
	var form output
	c := &cobra.Command{
		Use: "status", Short: "Say how this machine is, and what to do if something is wrong", Args: cobra.NoArgs,
		Long: `Ask the running agent how this machine is. The exit code is 0 when Envoy serves, an edge
is connected, the application is healthy and nothing is wrong, and 1 otherwise.`,
		Example: "  isthmus-agent status\n  isthmus-agent status -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), statusTime)
			defer cancel()
			report, err := status.Ask(ctx, agent.Socket(p.data))
			if errors.Is(err, status.ErrNotRunning) {
				return problem.AgentNotRunning.Because("nothing listens on %s", agent.Socket(p.data))
			}
			if err != nil {
				return err
			}
			return p.print(report, form)
		},
	}
	form.addTo(c.Flags())
	return c
}

func (p *program) print(report *status.Report, form output) error {
	err := form.print(p.out, report, func(w io.Writer) error { return report.Write(w, time.Now()) })
	if err == nil && !report.Ready {
		return errSaid
	}
	return err
}

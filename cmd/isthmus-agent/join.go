package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/isthmus-mesh/isthmus/agent"
)

func (p *program) join() *cobra.Command {
	var f flags
	c := p.joining("join TOKEN", agent.RoleWorkload, &f)
	c.Short = "Join the mesh as a workload and run"
	c.Long = `Join the mesh with a single-use token, write down who this machine is, and run in
the foreground until told to stop. After that, "isthmus-agent run" goes on.

Traffic: as root, the connections of the application's users are redirected to
Envoy by nftables, and those from outside to the ports named here: the application
keeps listening where it did and calls http://SERVICE:PORT by name. Without root,
Envoy listens on --address, and the application on 127.0.0.1 at TARGET; it reaches
others through --http-proxy or --upstream.

Ctrl-C takes the workload out of service and ends Envoy. SIGTERM ends the agent
alone: Envoy goes on serving, and the next agent takes it over.`
	c.Example = `  isthmus-agent join isthmus1.… --port 9080=http --version v2
  isthmus-agent join isthmus1.… --port 9090=grpc --check grpc
  isthmus-agent join isthmus1.… --capture explicit --address 10.0.0.7 \
    --port 9080=http:18080 --http-proxy 127.0.0.1:15080`
	f.addWorkload(c.Flags())
	return c
}

// joining is what join and gateway have in common.
func (p *program) joining(use, role string, f *flags) *cobra.Command {
	var only bool
	c := &cobra.Command{
		Use: use, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			settings, err := f.read()
			if err != nil {
				return err
			}
			return p.live(c.Context(), func(ctx context.Context) error {
				return agent.Join(ctx, agent.Joining{
					Data: p.data, Token: args[0], Role: role, Settings: settings, Now: time.Now, Progress: p.errOut,
				})
			}, only)
		},
	}
	f.addTo(c.Flags())
	c.Flags().BoolVar(&only, "enrol-only", false, "write down who this machine is and end, without running")
	return c
}

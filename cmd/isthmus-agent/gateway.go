package main

import (
	"github.com/spf13/cobra"

	"github.com/isthmus-mesh/isthmus/agent"
)

func (p *program) gateway() *cobra.Command {
	var f flags
	c := p.joining("gateway TOKEN", agent.RoleGateway, &f)
	c.Short = "Join the mesh as a gateway and run"
	c.Long = `Join the mesh as a gateway: an Envoy that takes connections from outside and hands
them to services. What it listens on is said by the Gateway objects of its
workspace, not here. Otherwise it is like join.`
	c.Example = `  isthmus-agent gateway isthmus1.…
  isthmus-agent gateway isthmus1.… --port 8080=http`
	c.Flags().StringArrayVar(&f.ports, "port", nil, "NUMBER=PROTOCOL the gateway listens on, for lists; may be repeated")
	return c
}

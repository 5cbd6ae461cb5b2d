package cli

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/isthmus-mesh/isthmus/edge"
)

func (c *CLI) edgeCommand(build Build) *cobra.Command {
	config := edge.Config{Version: build.Version}
	var logs logging
	command := &cobra.Command{
		Use: "edge --join TOKEN", Short: "Run the edge of a zone", Args: cobra.NoArgs,
		Long: `Run an edge: the control plane of a zone. It dials the hub and nothing dials into it but the zone's
agents. In a zone that Kubernetes runs, it writes the configuration for the Istio that is there,
and there are no agents. isthmus zone create prints the line that starts one for the first time; after that it
needs no token. It goes on without the hub, also over a restart.`,
		Example: `  isthmus edge --join isthmus1.eyJu...
  isthmus edge --advertise edge.dc1.example.com:15012
  isthmus edge --join isthmus1.eyJu... --kubeconfig ~/.kube/config`,
		RunE: func(command *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(command.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			config.Log = logs.logger(c.streams.ErrOut)
			config.DataDir = c.folder(config.DataDir, "edge")
			inKubernetes := config.Kubeconfig != "" || config.InCluster
			if len(config.Advertise) == 0 && !inKubernetes {
				address, err := reachable(config.Listen, hubsOf(config.HubAddresses, config.JoinToken))
				if err != nil {
					return err
				}
				config.Advertise = []string{address}
			}
			config.Ready = func(address string) {
				if inKubernetes {
					fmt.Fprintln(c.streams.Out, "The edge configures its cluster.")
					return
				}
				fmt.Fprintf(c.streams.Out, "The edge serves agents at %s.\n", address)
			}
			collectOften()
			return edge.Run(ctx, config)
		},
	}
	flags := command.Flags()
	flags.StringVar(&config.JoinToken, "join", "", "join token of role edge; needed once")
	flags.StringVar(&config.Name, "name", "", "name of this edge in its zone; default: the host's")
	flags.StringVar(&config.DataDir, "data", "", "folder for everything it keeps; default: ~/.isthmus/edge")
	flags.StringVar(&config.Listen, "listen", ":15012", "address for agents")
	flags.StringSliceVar(&config.Advertise, "advertise", nil, "addresses at which agents reach this edge, HOST:PORT; default: --listen, or this machine's own address")
	flags.StringSliceVar(&config.HubAddresses, "hub", nil, "addresses of the hub's feed, HOST:PORT; default: those of the token")
	flags.StringVar(&config.StatusListen, "status-listen", "", "loopback address for /healthz, /readyz, /metrics and profiles; default: none")
	flags.StringVar(&config.Kubeconfig, "kubeconfig", "", "file that leads to the cluster, for a zone that is one")
	flags.BoolVar(&config.InCluster, "in-cluster", false, "the zone is the cluster that this edge runs in")
	flags.StringVar(&config.LeaseNamespace, "lease-namespace", "", "namespace of the cluster in which several edges agree on one that writes; default: there is one")
	command.MarkFlagsMutuallyExclusive("kubeconfig", "in-cluster")
	logs.addTo(flags)
	return command
}

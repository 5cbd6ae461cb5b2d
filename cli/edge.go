package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/isthmus-mesh/isthmus/edge"
)

func (c *CLI) edgeCommand(build Build) *cobra.Command {
	config := edge.Config{Version: build.Version}
	var logs logging
	var joinFile string
	command := &cobra.Command{
		Use: "edge --join TOKEN", Short: "Run the edge of a zone", Args: cobra.NoArgs,
		Long: `Run an edge: the control plane of a zone. It dials the hub and nothing dials into it but the zone's
agents. isthmus zone create prints the line that starts one for the first time; after that it
needs no token. It goes on without the hub, also over a restart.

The edge of a zone of type kubernetes configures a cluster that runs Istio: it writes Istio's
objects into the namespaces that workspaces claim, keeps them as they shall be, and tells the hub
what runs there. It touches nothing that it has not made itself.`,
		Example: `  isthmus edge --join isthmus1.eyJu...
  isthmus edge --advertise edge.dc1.example.com:15012
  isthmus edge --join isthmus1.eyJu... --kubeconfig prod-1.kubeconfig`,
		RunE: func(command *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(command.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if err := readJoin(&config.JoinToken, joinFile); err != nil {
				return err
			}
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
	flags.StringVar(&joinFile, "join-file", "", "file with the join token, for where others see command lines; one that is not there is no token")
	flags.StringVar(&config.Name, "name", "", "name of this edge in its zone; default: the host's")
	flags.StringVar(&config.DataDir, "data", "", "folder for everything it keeps; default: ~/.isthmus/edge")
	flags.StringVar(&config.Listen, "listen", ":15012", "address for agents")
	flags.StringSliceVar(&config.Advertise, "advertise", nil, "addresses at which agents reach this edge, HOST:PORT; default: --listen, or this machine's own address")
	flags.StringSliceVar(&config.HubAddresses, "hub", nil, "addresses of the hub's feed, HOST:PORT; default: those of the token")
	flags.StringVar(&config.Kubeconfig, "kubeconfig", "", "kubeconfig of the cluster that this edge configures, in a zone of type kubernetes")
	flags.BoolVar(&config.InCluster, "in-cluster", false, "configure the cluster in which this edge runs as a pod")
	flags.StringVar(&config.LeaseNamespace, "lease-namespace", "", "namespace of the cluster in which several edges agree on one that writes; default: there is one")
	flags.StringVar(&config.ReceiptsAccount, "receipts-account", "", "service account in istiod's namespace, NAMESPACE/NAME, as which the edge asks istiod what proxies acknowledged; default: nobody is asked")
	command.MarkFlagsMutuallyExclusive("kubeconfig", "in-cluster")
	flags.DurationVar(&config.CertificateTTL, "certificate-ttl", 0, "life of workloads' certificates, which agents renew long before their end; default: 24h, which is also the longest")
	flags.StringVar(&config.StatusListen, "status-listen", "", "loopback address for /healthz, /readyz, /metrics and profiles; default: none")
	logs.addTo(flags)
	command.AddCommand(c.edgeCacerts())
	return command
}

// readJoin takes the join token from a file. A missing one is no error: an edge that has joined needs none.
func readJoin(token *string, path string) error {
	if path == "" {
		return nil
	}
	if *token != "" {
		return usage("--join and --join-file: want one of them")
	}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the join token: %w", err)
	}
	*token = strings.TrimSpace(string(text))
	return nil
}

package cli

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/isthmus-mesh/isthmus/hub"
)

func (c *CLI) hubCommand() *cobra.Command {
	var config hub.Config
	var logs logging
	command := &cobra.Command{
		Use: "hub", Short: "Run a hub", Args: cobra.NoArgs,
		Long: `Run a hub: the API to which people and programs write their intent, its storage, and the feed that
edges dial. It needs no Kubernetes and no database. At its first start it makes its keys, and a
kubeconfig for its administrator: DATA/admin.kubeconfig.

Edges and clients on other machines need --listen, --feed-listen and --advertise.`,
		Example: `  isthmus hub
  isthmus hub --listen 0.0.0.0:7443 --feed-listen 0.0.0.0:7444 --advertise hub.example.com`,
		RunE: func(command *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(command.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			config.Log = logs.logger(c.streams.ErrOut)
			config.DataDir = c.folder(config.DataDir, "hub")
			if len(config.Advertise) == 0 {
				address, err := reachable(config.FeedListen, nil)
				if err != nil {
					return err
				}
				config.Advertise = []string{address}
			}
			collectOften()
			return hub.Run(ctx, config, c.welcome)
		},
	}
	flags := command.Flags()
	flags.StringVar(&config.DataDir, "data", "", "folder for storage, keys and the administrator's kubeconfig; default: ~/.isthmus/hub")
	flags.StringVar(&config.Listen, "listen", "127.0.0.1:7443", "address of the API")
	flags.StringVar(&config.FeedListen, "feed-listen", "127.0.0.1:7444", "address of the feed, for edges")
	flags.StringSliceVar(&config.Advertise, "advertise", nil, "names or addresses at which others reach this hub; default: the host of --feed-listen, or this machine's own address")
	flags.StringVar(&config.TrustDomain, "trust-domain", "isthmus.local", "trust domain of every identity; it cannot change later")
	flags.StringSliceVar(&config.Etcd.Servers, "etcd-servers", nil, "URLs of an etcd cluster; default: storage inside this process")
	flags.StringVar(&config.Etcd.CAFile, "etcd-cafile", "", "file with the certificates to trust for --etcd-servers")
	flags.StringVar(&config.Etcd.CertFile, "etcd-certfile", "", "file with the certificate to show to --etcd-servers")
	flags.StringVar(&config.Etcd.KeyFile, "etcd-keyfile", "", "file with its key")
	logs.addTo(flags)
	return command
}

// welcome says, once a hub is ready, how to reach it.
func (c *CLI) welcome(info hub.Info) {
	fmt.Fprintf(c.streams.Out, "The hub is ready.\n  export KUBECONFIG=%s\n  isthmus zone create dc1\n", info.Kubeconfig)
}

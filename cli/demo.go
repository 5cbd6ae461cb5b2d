package cli

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/isthmus-mesh/isthmus/cli/demo"
)

func (c *CLI) demo() *cobra.Command {
	config := demo.Config{Out: c.streams.Out}
	command := &cobra.Command{
		Use: "demo", Short: "Run a whole mesh on this machine", Args: cobra.NoArgs,
		Long: `Run a whole mesh on this machine, without root: a hub, an edge, a shop of six services with an
Envoy beside each of its eight workloads, an ingress gateway and a small load. It prints the address
to open and what to try. Ctrl-C ends all of it; the next demo uses its data again.`,
		Example: "  isthmus demo\n  isthmus demo --ingress-port 8888\n  isthmus demo --check",
		RunE: func(command *cobra.Command, _ []string) error {
			if err := findPrograms(&config); err != nil {
				return err
			}
			folder, err := filepath.Abs(c.demoFolder(config.Data))
			if err != nil {
				return err
			}
			config.Data = folder
			if ip := net.ParseIP(config.Network + ".1"); ip == nil || !ip.IsLoopback() {
				return usage("--network %s: want the first three numbers of a loopback network, like 127.1.0", config.Network)
			}
			config.Terminal = term.IsTerminal(int(os.Stdout.Fd()))
			ctx, stop := signal.NotifyContext(command.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return demo.Run(ctx, config)
		},
	}
	flags := command.Flags()
	flags.StringVar(&config.Data, "data", "", "folder for everything it keeps; default: ~/.isthmus/demo, for root "+rootsDemo)
	flags.StringVar(&config.Envoy, "envoy", "", "Envoy to use; default: one of the right version is found, or fetched")
	flags.IntVar(&config.PortBase, "port-base", 7443, "first of thirty TCP ports on 127.0.0.1 for hub, edge and applications")
	flags.IntVar(&config.IngressPort, "ingress-port", 8080, "TCP port where the shop opens, on every address of this machine")
	flags.StringVar(&config.Network, "network", "127.1.0", "loopback network for the Envoys")
	flags.BoolVar(&config.Check, "check", false, "prove that it works, with a canary, and end")
	return command
}

// rootsDemo is where root's demo lives: its Envoys run as another user, who cannot enter root's home.
const rootsDemo = "/var/lib/isthmus/demo"

func (c *CLI) demoFolder(given string) string {
	if given == "" && os.Getuid() == 0 {
		return rootsDemo
	}
	return c.folder(given, "demo")
}

// findPrograms sets where the programs are: beside this one.
func findPrograms(config *demo.Config) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the programs of the demo: %w", err)
	}
	bin := filepath.Dir(self)
	config.Isthmus, config.Agent, config.Shop = self, filepath.Join(bin, "isthmus-agent"), filepath.Join(bin, "shop")
	return nil
}

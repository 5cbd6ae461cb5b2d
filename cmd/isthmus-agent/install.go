package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/isthmus-mesh/isthmus/agent/systemd"
)

func (p *program) install() *cobra.Command {
	var folder string
	c := &cobra.Command{
		Use: "install", Short: "Write the units of systemd", Args: cobra.NoArgs,
		Long: `Write the units of systemd: the agent, and a service that takes the machine out of
service before it shuts down.`,
		Example: `  isthmus-agent join isthmus1.… --port 9080=http --enrol-only
  isthmus-agent install && systemctl enable --now isthmus-agent`,
		RunE: func(*cobra.Command, []string) error {
			program, err := os.Executable()
			if err != nil {
				return err
			}
			data, err := filepath.Abs(p.data)
			if err != nil {
				return err
			}
			names, err := systemd.Install(folder, program, data)
			for _, name := range names {
				fmt.Fprintln(p.out, "wrote", filepath.Join(folder, name))
			}
			return err
		},
	}
	c.Flags().StringVar(&folder, "folder", "/etc/systemd/system", "folder to write to")
	return c
}

package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/isthmus-mesh/isthmus/tools/envoy"
)

func (p *program) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(p.out, "isthmus-agent %s, for Envoy %s, %s, %s/%s\n", version, envoy.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

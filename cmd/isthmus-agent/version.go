package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/isthmus-mesh/isthmus/tools/envoy"
)

// build says what this program was built from, and which Envoy it is for.
type build struct {
	Version  string `json:"version"`
	Envoy    string `json:"envoy"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (p *program) version() *cobra.Command {
	var form output
	c := &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := build{version, envoy.Version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			return form.print(p.out, b, b.words)
		},
	}
	form.addTo(c.Flags())
	return c
}

func (b build) words(w io.Writer) error {
	_, err := fmt.Fprintf(w, "isthmus-agent %s, for Envoy %s, %s, %s\n", b.Version, b.Envoy, b.Go, b.Platform)
	return err
}

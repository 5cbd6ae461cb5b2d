package cli

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	"k8s.io/client-go/discovery"
)

// Build says what this program was built from.
type Build struct {
	// Version of the release, for instance "v0.1.0"; "devel" outside of releases.
	Version string `json:"version"`
	// Commit is the revision of the sources, empty when unknown.
	Commit string `json:"commit,omitempty"`
	// Go is the compiler.
	Go string `json:"go"`
	// Platform is operating system and architecture.
	Platform string `json:"platform"`
}

// ThisBuild describes the running program; version is what the release process linked in.
func ThisBuild(version string) Build {
	b := Build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if b.Version == "" {
		b.Version = "devel"
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				b.Commit = s.Value
			}
		}
	}
	return b
}

// versions is what "isthmus version -o json" prints.
type versions struct {
	Client Build `json:"client"`
	// Hub is the version of the hub's API, when asked for.
	Hub string `json:"hub,omitempty"`
}

func (c *CLI) version(build Build) *cobra.Command {
	var form output
	var askHub bool
	command := &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Long:    "Print the version of this program, and with --hub that of the hub.",
		Example: "  isthmus version\n  isthmus version --hub -o json",
		RunE: func(command *cobra.Command, _ []string) error {
			v := versions{Client: build}
			if askHub {
				var err error
				if v.Hub, err = c.hubVersion(command.Context()); err != nil {
					return err
				}
			}
			return form.print(c.streams.Out, v, v.words)
		},
	}
	form.addTo(command)
	command.Flags().BoolVar(&askHub, "hub", false, "ask the hub too")
	return command
}

func (c *CLI) hubVersion(ctx context.Context) (string, error) {
	config, err := c.hub.ToRESTConfig()
	if err != nil {
		return "", err
	}
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return "", err
	}
	info, err := client.WithLegacy().ServerVersion()
	if err != nil {
		return "", fmt.Errorf("ask the hub at %s for its version: %w", config.Host, err)
	}
	return info.GitVersion, nil
}

func (v versions) words(w io.Writer) error {
	fmt.Fprintf(w, "isthmus %s", v.Client.Version)
	if v.Client.Commit != "" {
		fmt.Fprintf(w, " (%.12s)", v.Client.Commit)
	}
	fmt.Fprintf(w, ", %s, %s\n", v.Client.Go, v.Client.Platform)
	if v.Hub != "" {
		fmt.Fprintf(w, "hub API %s\n", v.Hub)
	}
	return nil
}

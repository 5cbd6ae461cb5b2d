// Command isthmus is hub, edge and command line in one program: see isthmus help.
package main

import (
	"context"
	"os"

	"github.com/isthmus-mesh/isthmus/cli"
)

// version is set when a release is linked: -X main.version=v0.1.0.
var version string

func main() {
	streams := cli.Streams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	os.Exit(cli.New(streams, cli.ThisBuild(version), os.Getenv).Run(context.Background(), os.Args[1:]))
}

// Command isthmus-agent brings this machine into a service mesh and keeps it there: see isthmus-agent help.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set when a release is linked: -X main.version=v0.1.0.
var version = "devel"

// Exit codes. A number keeps its meaning for ever.
const (
	exitFailed = 1
	exitUsage  = 2
)

// garbagePercent trades a little work for memory: the agent runs on every machine.
const garbagePercent = 40

func main() {
	debug.SetGCPercent(garbagePercent)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program; tests call it too.
func run(args []string, out, errOut io.Writer) int {
	p := &program{out: out, errOut: errOut}
	root := p.root()
	root.SetArgs(args)
	err := root.Execute()
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errSaid):
		return exitFailed
	}
	fmt.Fprintln(errOut, "isthmus-agent:", err)
	if !p.started {
		fmt.Fprintln(errOut, "See isthmus-agent help, or --help after any command.")
		return exitUsage
	}
	return exitFailed
}

// errSaid is a failure of which everything has been said.
var errSaid = errors.New("said")

// program is what the commands share.
type program struct {
	out, errOut io.Writer
	data        string
	log         logging
	// started tells that a command line made sense and its command began.
	started bool
}

// start is called before every command, when the command line makes sense.
func (p *program) start(*cobra.Command, []string) (err error) {
	p.started = true
	p.data, err = filepath.Abs(p.data)
	return err
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "isthmus-agent",
		Short: "Bring this machine into a service mesh and keep it there",
		Long: `isthmus-agent brings this machine into a service mesh: it proves who the machine
is, runs Envoy beside the application, leads the application's connections through
it, resolves the names of services, and tells the zone whether the application is
healthy. The application needs no change.

The first step is a token: "isthmus token create" prints the line to type here.`,
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: p.start,
	}
	root.SetOut(p.out)
	root.SetErr(p.errOut)
	root.PersistentFlags().StringVar(&p.data, "data", defaultData(), "directory for everything the agent keeps")
	p.log.addTo(root.PersistentFlags())
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(p.join(), p.gateway(), p.run(), p.status(), p.leave(), p.install(), p.version())
	return root
}

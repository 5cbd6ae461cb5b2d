package cli

import (
	"context"
	"sync"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
)

// Streams are where a command reads and writes.
type Streams = genericiooptions.IOStreams

// CLI is one run of the command line.
type CLI struct {
	// Root is the tree of commands.
	Root *cobra.Command

	streams Streams
	hub     *reach
	// started is set once flags and arguments have been accepted.
	started bool
}

// The groups of commands in the help.
const (
	groupMesh    = "mesh"
	groupObjects = "objects"
	groupOther   = "other"
)

const about = `Isthmus joins services on machines and in Kubernetes into one mesh.

A first mesh on this machine:   isthmus demo
A mesh on three machines:       isthmus hub
                                isthmus zone create dc1
                                isthmus token create --zone dc1 --workspace shop --service reviews`

// New makes the command line of a build. environ looks up environment variables, as os.Getenv does.
func New(streams Streams, build Build, environ func(string) string) *CLI {
	c := &CLI{streams: streams, hub: newReach(environ, "isthmus/"+build.Version)}
	c.Root = &cobra.Command{
		Use: "isthmus", Short: "An open service mesh across machines and Kubernetes", Long: about,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRun: func(*cobra.Command, []string) { c.started = true },
	}
	c.Root.SetUsageTemplate(usageTemplate)
	c.Root.SetIn(streams.In)
	c.Root.SetOut(streams.Out)
	c.Root.SetErr(streams.ErrOut)
	c.hub.addFlags(c.Root.PersistentFlags())
	c.Root.AddGroup(
		&cobra.Group{ID: groupMesh, Title: "Run and look after a mesh:"},
		&cobra.Group{ID: groupObjects, Title: "Work with objects:"},
		&cobra.Group{ID: groupOther, Title: "Other commands:"})
	c.Root.SetHelpCommandGroupID(groupOther)
	c.Root.SetCompletionCommandGroupID(groupOther)
	addAll(c.Root, groupMesh, c.demo(), c.hubCommand(), c.edgeCommand(build), c.zone(build), c.token(), c.status())
	addAll(c.Root, groupObjects, c.verbs()...)
	addAll(c.Root, groupOther, c.version(build))
	c.Root.AddCommand(exitCodesTopic())
	return c
}

func addAll(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, command := range commands {
		command.GroupID = group
	}
	root.AddCommand(commands...)
}

// quiet leaves out the libraries' asides, once for the process: what runs beside a command may be logging.
var quiet = sync.OnceFunc(func() { klog.SetLogger(logr.Discard()) })

// Run executes a command line, without the program's name, and returns the exit code. Everything
// there is to say has been printed when it returns.
func (c *CLI) Run(ctx context.Context, args []string) (code int) {
	quiet()
	cmdutil.BehaviorOnFatal(func(text string, code int) { panic(fatal{text, code}) })
	defer func() {
		switch end := recover().(type) {
		case nil:
		case fatal:
			code = c.reportFatal(end)
		default:
			panic(end)
		}
	}()
	c.Root.SetArgs(args)
	return c.report(c.Root.ExecuteContext(ctx))
}

// usageTemplate is cobra's, shorter, with flags wrapped to a terminal of 100 columns.
const usageTemplate = `Usage:{{if .Runnable}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} COMMAND{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}{{$all := .Commands}}{{if not .Groups}}

Commands:{{range $all}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{range $group := .Groups}}

{{.Title}}{{range $all}}{{if (and (eq .GroupID $group.ID) .IsAvailableCommand)}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsagesWrapped 100 | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Flags of every command: isthmus help{{end}}{{if .HasHelpSubCommands}}

Help topics:{{range .Commands}}{{if .IsAdditionalHelpTopicCommand}}
  isthmus help {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableSubCommands}}

More of a command: {{.CommandPath}} COMMAND --help{{end}}
`

package cli_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/isthmus-mesh/isthmus/cli"
)

var update = flag.Bool("update", false, "rewrite expected output in testdata")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"isthmus": func() { os.Exit(run(os.Args[1:])) }})
}

func run(args []string) int {
	return commandLine().Run(context.Background(), args)
}

func commandLine() *cli.CLI {
	streams := cli.Streams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	return cli.New(streams, cli.Build{Version: "v0.0.1", Go: "go1.26", Platform: "linux/amd64"}, os.Getenv)
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update, RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits is the script command "exits CODE PROGRAM ARGUMENTS...".
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGUMENTS...")
	}
	code := 0
	var failed *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &failed) {
		code = failed.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// TestLeftovers lists where our help still names kubectl or kinds that no hub has. Only zone and edge speak of clusters.
func TestLeftovers(t *testing.T) {
	var got []string
	walk(commandLine().Root, func(c *cobra.Command) {
		if path := c.CommandPath(); strings.HasPrefix(path, "isthmus zone") || strings.HasPrefix(path, "isthmus edge") {
			return
		}
		for _, word := range []string{"kubectl", "pod", "deployment", "Kubernetes cluster", "kubernetes.io/docs"} {
			if strings.Contains(c.Short+c.Long+c.Example, word) {
				got = append(got, c.CommandPath()+" text "+word)
			}
			c.LocalFlags().VisitAll(func(f *pflag.Flag) {
				if strings.Contains(f.Usage, word) && !f.Hidden {
					got = append(got, c.CommandPath()+" --"+f.Name+" usage "+f.Usage)
				}
				if strings.Contains(f.DefValue, word) {
					got = append(got, c.CommandPath()+" --"+f.Name+" default "+f.DefValue)
				}
			})
		}
	})
	sort.Strings(got)
	if len(got) > 0 {
		t.Errorf("leftovers:\n%s", strings.Join(got, "\n"))
	}
}

// TestEveryCommandIsExplained wants a short and a long text of every command.
func TestEveryCommandIsExplained(t *testing.T) {
	walk(commandLine().Root, func(c *cobra.Command) {
		if c.Short == "" || c.Long == "" {
			t.Errorf("%s: short text %q, long text %q", c.CommandPath(), c.Short, c.Long)
		}
	})
}

// formless are those of our commands that print no data, or only in the form that the next program takes.
var formless = map[string]string{
	"demo": "runs", "edge": "runs", "hub": "runs", "zone delete": "acts", "token revoke": "acts",
	"zone manifest": "YAML to apply", "edge cacerts": "YAML to apply", "zone trust": "YAML for Helm",
}

// TestDataComesInForms wants -o of each command of ours that prints data.
func TestDataComesInForms(t *testing.T) {
	for _, top := range commandLine().Root.Commands() {
		if top.GroupID != "mesh" && top.Name() != "version" {
			continue // the others are kubectl's
		}
		walk(top, func(c *cobra.Command) {
			name := strings.TrimPrefix(c.CommandPath(), "isthmus ")
			if flag := c.Flags().Lookup("output"); c.Runnable() && (flag == nil) != (formless[name] != "") {
				t.Errorf("%s: -o is there: %v; it prints no data: %q", name, flag != nil, formless[name])
			}
		})
	}
}

func walk(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, child := range c.Commands() {
		walk(child, visit)
	}
}

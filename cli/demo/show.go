package demo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/isthmus-mesh/isthmus/examples"
)

// How often the state of the load is said: on a terminal one line changes, elsewhere lines add up.
const (
	terminalBeat = time.Second
	plainBeat    = 10 * time.Second
)

// invite prints where the shop is and what may be tried.
func (d *demo) invite() {
	tool := "kubectl"
	if _, err := exec.LookPath(tool); err != nil {
		tool = "isthmus"
	}
	fmt.Fprintf(d.Out, `
The shop is open:  %s
Logs are in        %s

In another terminal:
  export KUBECONFIG=%s PATH=%s:$PATH

Then try:
  %[5]s get workspaces,services,httproutes -A
  %[5]s apply -f %[6]s
  isthmus status

Ctrl-C ends everything. The next demo uses its data again; rm -r %[7]s makes it start afresh.

`, d.load.url, d.path("logs"), d.kubeconfig(), filepath.Dir(d.Isthmus), tool, d.canary(), d.Data)
}

// canary is the path of the example to try: that of the sources if they are here, else a copy.
func (d *demo) canary() string {
	const name = "canary-10.yaml"
	here := filepath.Join("examples", name)
	if _, err := os.Stat(here); err == nil {
		return here
	}
	text, err := examples.Files.ReadFile(name)
	if err == nil {
		err = os.WriteFile(d.path(name), text, 0o600)
	}
	if err != nil {
		return here
	}
	return d.path(name)
}

// watch says how the load goes until ctx ends. A part that dies is told and not missed: the mesh is
// made to live without any of its parts, and people try that.
func (d *demo) watch(ctx context.Context) {
	beat, end := plainBeat, "\n"
	if d.Terminal {
		beat, end = terminalBeat, "\r"
	}
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			fmt.Fprintf(d.Out, "%-76s%s", d.load, end)
		case p := <-d.deaths:
			fmt.Fprintf(d.Out, "%v\nThe others go on; the next demo starts it again.\n", p.died())
		case <-ctx.Done():
			fmt.Fprintf(d.Out, "%-76s\n", d.load)
			return
		}
	}
}

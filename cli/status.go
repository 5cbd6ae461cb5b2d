package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/cli/hubclient"
)

// Proxies that lag behind the newest revision, or come back with their agents, get this long before
// status calls it a problem: normally both take less than a second.
const (
	settleTime = 3 * time.Second
	settleStep = 200 * time.Millisecond
)

// hubPatience is how long a hub may be silent until status says so.
const hubPatience = 20 * time.Second

func (c *CLI) status() *cobra.Command {
	var form output
	command := &cobra.Command{
		Use: "status", Short: "Say how the mesh is, and what to do", Args: cobra.NoArgs,
		Long: `Say how hub, zones, edges and proxies are, and what needs attention, with what to do about it:
edges and agents that are away, warnings of edges, configuration that Envoy refused, workloads that
are not healthy, objects that are not accepted or that contradict each other.

The exit code is 0 when all is well, 3 when something needs attention, 4 when the hub does not
answer. Traffic goes on in all of these cases.`,
		Example: "  isthmus status\n  isthmus status -o json",
		RunE: func(command *cobra.Command, _ []string) error {
			hub, err := c.client()
			if err != nil {
				return err
			}
			state, err := ask(command.Context(), hub)
			if err != nil {
				return err
			}
			health := examine(hub.Address(), state)
			if err := form.print(c.streams.Out, health, health.words); err != nil {
				return err
			}
			if len(health.Findings) > 0 {
				return &exit{code: ExitDegraded}
			}
			return nil
		},
	}
	form.addTo(command)
	return command
}

// ask returns the state of the mesh. That the hub does not answer is an error that says what goes on.
func ask(ctx context.Context, hub *hubclient.Client) (hubclient.State, error) {
	patience, cancel := context.WithTimeout(ctx, hubPatience)
	defer cancel()
	state, err := settled(patience, hub)
	var unanswered *url.Error
	if errors.As(err, &unanswered) && ctx.Err() == nil {
		silent := problem.HubSilent.Because("the hub at %s does not answer (%v); traffic goes on, changes wait", hub.Address(), unanswered.Err)
		return state, &exit{ExitUnreachable, silent.Error()}
	}
	if err != nil {
		return state, fmt.Errorf("ask the hub at %s how the mesh is: %w", hub.Address(), err)
	}
	return state, nil
}

// settled returns the state of the mesh once nothing is on its way, or after settleTime.
func settled(ctx context.Context, hub *hubclient.Client) (hubclient.State, error) {
	step := time.NewTicker(settleStep)
	defer step.Stop()
	patience, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for {
		state, err := hub.State(ctx)
		if err != nil || !underWay(state) {
			return state, err
		}
		select {
		case <-step.C:
		case <-patience.Done():
			return state, ctx.Err()
		}
	}
}

// underWay tells whether a proxy is about to take the newest revision, or to connect.
func underWay(s hubclient.State) bool {
	for _, r := range s.Revisions {
		if r.Status.Current < r.Status.Proxies {
			return true
		}
	}
	attended := attendedWorkloads(s)
	for _, p := range s.Proxies {
		if !p.Status.Connected && attended[p.Namespace+"/"+p.Name] {
			return true
		}
	}
	return false
}

// findingsShown bounds what status prints in words; data has all.
const findingsShown = 20

func (h health) words(w io.Writer) error {
	fmt.Fprintf(w, "Hub      %s, %s\n", h.Hub.Address, readiness(h.Hub))
	for _, z := range h.Zones {
		edges := count(int(z.Edges), "edge")
		if z.Connected != "" {
			edges += " (" + z.Connected + ")"
		}
		fmt.Fprintf(w, "Zone     %s: %s, %d of %d proxies on revision %d\n", z.Name, edges, z.Current, z.Proxies, z.Revision)
		clusterWords(w, z.Cluster)
	}
	fmt.Fprintf(w, "Mesh     %s, %d unhealthy; %s, %d connected\n\n",
		count(h.Workloads.Total, "workload"), h.Workloads.Unhealthy, count(h.Proxies.Total, "proxy"), h.Proxies.Connected)
	if len(h.Findings) == 0 {
		_, err := fmt.Fprintln(w, "All is well.")
		return err
	}
	fmt.Fprintf(w, "%s attention:\n", count(len(h.Findings), "matter needs"))
	for i, f := range h.Findings {
		if i == findingsShown {
			fmt.Fprintf(w, "  and %d more: isthmus status -o json\n", len(h.Findings)-i)
			break
		}
		f.words(w)
	}
	return nil
}

func (f finding) words(w io.Writer) {
	fmt.Fprintf(w, "  %s: %s\n", f.Subject, f.Problem)
	if f.Remedy != "" {
		fmt.Fprintf(w, "      %s\n", f.Remedy)
	}
}

func readiness(h hubHealth) string {
	if h.Ready {
		return "ready"
	}
	return "not ready"
}

// plurals of the nouns that count is used with.
var plurals = map[string]string{"edge": "edges", "workload": "workloads", "proxy": "proxies", "service": "services", "Istio object": "Istio objects", "matter needs": "matters need"}

func count(n int, noun string) string {
	if n != 1 {
		noun = plurals[noun]
	}
	return fmt.Sprintf("%d %s", n, noun)
}

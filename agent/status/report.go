package status

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is everything the agent says about itself.
type Report struct {
	// Ready: Envoy serves, an edge attends, nothing is wrong.
	Ready    bool      `json:"ready"`
	Warnings []Warning `json:"warnings"`

	Workload  string `json:"workload"`
	Identity  string `json:"identity"`
	Role      string `json:"role"`
	Zone      string `json:"zone"`
	Workspace string `json:"workspace"`
	Service   string `json:"service"`

	// Edge attended; empty when there is none.
	Edge  string   `json:"edge"`
	Edges []string `json:"edges"`
	// CertificateEnds is when the certificate expires.
	CertificateEnds time.Time `json:"certificateEnds"`
	Capture         string    `json:"capture"`
	// Names of the mesh the agent resolves; -1 if it answers no questions.
	Names int `json:"names"`

	Envoy EnvoyReport `json:"envoy"`
	Agent AgentReport `json:"agent"`
}

// EnvoyReport is how Envoy is.
type EnvoyReport struct {
	Ready       bool   `json:"ready"`
	State       string `json:"state"`
	PID         int    `json:"pid"`
	Adopted     bool   `json:"adopted"`
	Version     string `json:"version"`
	Listeners   int    `json:"listeners"`
	Clusters    int    `json:"clusters"`
	Connections int    `json:"connections"`
	MemoryBytes int    `json:"memoryBytes"`
	// Connected tells whether Envoy takes its configuration from the agent.
	Connected bool `json:"connected"`
	// Ended says how often Envoy ended by itself while this agent looked after it; empty for never.
	Ended string `json:"ended,omitempty"`
	// Holds counts the resources on disk, by short name of their type.
	Holds map[string]int `json:"holds"`
}

// AgentReport is how the agent itself is.
type AgentReport struct {
	Version     string    `json:"version"`
	PID         int       `json:"pid"`
	Started     time.Time `json:"started"`
	MemoryBytes int       `json:"memoryBytes"`
}

// Write tells the report to a person.
func (r *Report) Write(w io.Writer, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("Workload", "%s (%s of %s in zone %s)", orNone(r.Workload), r.Role, r.Service+"."+r.Workspace, r.Zone)
	row("Identity", "%s, certificate until %s", r.Identity, left(r.CertificateEnds, now))
	row("Edge", "%s; known: %s", orNone(r.Edge), orNone(strings.Join(r.Edges, ", ")))
	row("Envoy", "%s", r.Envoy.line())
	row("Capture", "%s", r.Capture)
	if r.Names >= 0 {
		row("Names", "%d resolved here", r.Names)
	}
	row("Agent", "%s, pid %d, up %s, %d MB", r.Agent.Version, r.Agent.PID, now.Sub(r.Agent.Started).Round(time.Second), r.Agent.MemoryBytes>>20)
	if err := table.Flush(); err != nil {
		return err
	}
	return r.writeWarnings(w)
}

func (r *Report) writeWarnings(w io.Writer) error {
	if len(r.Warnings) == 0 {
		_, err := fmt.Fprintln(w, "\nAll is well.")
		return err
	}
	for _, warning := range r.Warnings {
		if _, err := fmt.Fprintf(w, "\n%s  %s\n  %s\n  What to do: %s.\n", warning.Code, warning.Title, warning.Text, strings.TrimSuffix(warning.Do, ".")); err != nil {
			return err
		}
	}
	return nil
}

func (e EnvoyReport) line() string {
	if e.PID == 0 {
		return "not running"
	}
	text := fmt.Sprintf("%s, pid %d, %d listeners, %d clusters, %d connections, %d MB", strings.ToLower(e.State), e.PID, e.Listeners, e.Clusters, e.Connections, e.MemoryBytes>>20)
	if len(e.Holds) > 0 {
		var held []string
		for _, name := range slices.Sorted(maps.Keys(e.Holds)) {
			held = append(held, fmt.Sprintf("%d %s", e.Holds[name], name))
		}
		text += "; on disk " + strings.Join(held, ", ")
	}
	if e.Ended != "" {
		text += "; " + e.Ended
	}
	return text
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

func left(end, now time.Time) string {
	return fmt.Sprintf("%s (%s left)", end.UTC().Format(time.RFC3339), end.Sub(now).Round(time.Second))
}

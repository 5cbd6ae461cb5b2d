package cli

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/cli/hubclient"
)

func (c *CLI) token() *cobra.Command {
	command := &cobra.Command{
		Use: "token", Short: "Make, list and revoke join tokens",
		Long: `A join token admits one edge, workload or gateway, once, to one zone. Its secret is made here and
printed once; the hub stores only a hash.`,
	}
	command.AddCommand(c.tokenCreate(), c.tokenList(), c.tokenRevoke())
	return command
}

func (c *CLI) tokenCreate() *cobra.Command {
	var form output
	var request hubclient.TokenRequest
	command := &cobra.Command{
		Use: "create --zone ZONE --workspace WORKSPACE --service SERVICE", Short: "Make a token, and print the line that joins",
		Args: cobra.NoArgs,
		Long: `Make a join token and print one line to paste on the machine that joins. For a workload or a
gateway complete it with what the agent shall do, for instance --port 9080=http --version v2.

A workspace that does not exist is made, with this zone as the only one and without a tenant, and
that is said. One that exists is left as it is.

A gateway is a workload that serves the Gateway named by --service. A token of role edge starts one
more edge in a zone and needs no workspace.`,
		Example: `  isthmus token create --zone dc1 --workspace shop --service reviews
  isthmus token create --zone dc1 --workspace shop --service public --role gateway
  isthmus token create --zone dc1 --role edge`,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := checkRequest(request); err != nil {
				return err
			}
			hub, err := c.client()
			if err != nil {
				return err
			}
			line, err := lineOf(command.Context(), hub, request)
			if err != nil {
				return err
			}
			if err := c.ensureWorkspace(command.Context(), hub, request); err != nil {
				return err
			}
			return c.printToken(command.Context(), hub, form, request, line)
		},
	}
	flags := command.Flags()
	flags.StringVar(&request.Zone, "zone", "", "zone to join")
	flags.StringVar(&request.Workspace, "workspace", "", "workspace of the service")
	flags.StringVar(&request.Service, "service", "", "service the workload belongs to, or name of the Gateway")
	flags.DurationVar(&request.TTL, "ttl", time.Hour, "time in which the token must be used")
	flags.StringVar((*string)(&request.Role), "role", string(v1alpha1.JoinWorkload), "workload, gateway or edge")
	form.addTo(command)
	return command
}

// checkRequest finds what is wrong with the flags of token create.
func checkRequest(r hubclient.TokenRequest) error {
	member := r.Role == v1alpha1.JoinWorkload || r.Role == v1alpha1.JoinGateway
	switch {
	case !member && r.Role != v1alpha1.JoinEdge:
		return usage("--role %s: want workload, gateway or edge", r.Role)
	case r.Zone == "":
		return usage("--zone is missing: isthmus zone list shows the zones")
	case member && (r.Workspace == "" || r.Service == ""):
		return usage("a token of role %s needs --workspace and --service", r.Role)
	case !member && (r.Workspace != "" || r.Service != ""):
		return usage("a token of role edge is for a whole zone: leave out --workspace and --service")
	case r.TTL <= 0:
		return usage("--ttl %s: want a time to come", r.TTL)
	}
	return nil
}

// ensureWorkspace makes the workspace that a token needs, and says so, because its name may be a mistake.
func (c *CLI) ensureWorkspace(ctx context.Context, hub *hubclient.Client, request hubclient.TokenRequest) error {
	if request.Role == v1alpha1.JoinEdge {
		return nil
	}
	made, err := hub.EnsureWorkspace(ctx, request)
	if made {
		fmt.Fprintf(c.streams.ErrOut, "created workspace %[1]s, of no tenant, with zone %[2]s; if the name is a mistake: isthmus delete workspace %[1]s\n",
			request.Workspace, request.Zone)
	}
	return err
}

// printToken makes a token and prints the line that uses it.
func (c *CLI) printToken(ctx context.Context, hub *hubclient.Client, form output, request hubclient.TokenRequest, line line) error {
	token, err := hub.CreateToken(ctx, request)
	if err != nil {
		return err
	}
	j := joining{Name: token.Name, Token: token.String(), Command: line(token.String())}
	return form.print(c.streams.Out, j, j.words)
}

// tokenRow is a join token as token list prints it.
type tokenRow struct {
	Name      string            `json:"name"`
	Role      v1alpha1.JoinRole `json:"role"`
	Zone      string            `json:"zone"`
	Workspace string            `json:"workspace,omitempty"`
	Service   string            `json:"service,omitempty"`
	// State is unused, used or expired.
	State   string    `json:"state"`
	Expires time.Time `json:"expires"`
}

func (c *CLI) tokenList() *cobra.Command {
	var form output
	command := &cobra.Command{
		Use: "list", Short: "List join tokens", Args: cobra.NoArgs,
		Long: "List the join tokens, whom they admit and whether they were used. Their secrets are nowhere to be had.",
		RunE: func(command *cobra.Command, _ []string) error {
			hub, err := c.client()
			if err != nil {
				return err
			}
			tokens, err := hub.Tokens(command.Context())
			if err != nil {
				return err
			}
			rows := tokenRows(tokens, time.Now())
			return form.print(c.streams.Out, rows, func(w io.Writer) error { return printTokens(w, rows) })
		},
	}
	form.addTo(command)
	return command
}

func tokenRows(tokens []v1alpha1.JoinToken, now time.Time) []tokenRow {
	rows := make([]tokenRow, 0, len(tokens))
	for _, t := range tokens {
		rows = append(rows, tokenRow{t.Name, t.Spec.Role, t.Spec.Zone, t.Spec.Workspace, t.Spec.Service,
			tokenState(t, now), t.Spec.Expires.UTC()})
	}
	return rows
}

func tokenState(t v1alpha1.JoinToken, now time.Time) string {
	switch {
	case t.Status.KeySHA256 != "":
		return "used"
	case t.Spec.Expires.Time.Before(now):
		return "expired"
	}
	return "unused"
}

func printTokens(w io.Writer, rows []tokenRow) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(w, "No tokens. Make one: isthmus token create")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "NAME\tROLE\tZONE\tWORKSPACE\tSERVICE\tSTATE\tEXPIRES")
	for _, t := range rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.Name, t.Role, t.Zone, orDash(t.Workspace), orDash(t.Service),
			t.State, t.Expires.Format(time.RFC3339))
	}
	return table.Flush()
}

func (c *CLI) tokenRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME", Short: "Take a token back", Args: oneName,
		Long: "Take a token back: nobody can join with it any more. Who has joined with it stays.",
		RunE: func(command *cobra.Command, args []string) error {
			hub, err := c.client()
			if err != nil {
				return err
			}
			if err := hub.RevokeToken(command.Context(), args[0]); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.streams.Out, "token %s revoked\n", args[0])
			return err
		},
	}
}

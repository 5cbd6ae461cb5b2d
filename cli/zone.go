package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/cli/hubclient"
)

// edgeTokenTTL is how long the line that zone create prints may be used.
const edgeTokenTTL = 24 * time.Hour

func (c *CLI) zone(build Build) *cobra.Command {
	command := &cobra.Command{
		Use: "zone", Short: "Make, list and remove zones",
		Long: `A zone is a place where workloads run and which an edge configures: a data centre, a rack, a cloud
region, a Kubernetes cluster. A second edge takes over when the first dies: make a token for it with
isthmus token create --role edge. Machines then use either; of the edges of a cluster one writes.`,
	}
	command.AddCommand(c.zoneCreate(), c.zoneManifest(build), c.zoneFederate(), c.zoneTrust(), c.zoneList(), c.zoneDelete())
	return command
}

// joining is what commands that make a token print: the token, and the line to paste.
type joining struct {
	// Name of the JoinToken object.
	Name string `json:"name"`
	// Token is the secret itself.
	Token string `json:"token"`
	// Command to run on the newcomer.
	Command string `json:"command"`
}

func (j joining) words(w io.Writer) error {
	_, err := fmt.Fprintln(w, j.Command)
	return err
}

func (c *CLI) zoneCreate() *cobra.Command {
	var form output
	var spec v1alpha1.ZoneSpec
	var image string
	command := &cobra.Command{
		Use: "create NAME", Short: "Make a zone, and print the line that starts its edge", Args: oneName,
		Long: `Make a zone and print one line. It starts the zone's edge, holds a secret, admits one edge and is
good for a day.

A zone of machines: paste the line on any machine that reaches the hub.

A zone of type kubernetes is a cluster that runs Istio, whose pods reach the hub: paste the line where
kubectl reaches the cluster. Istio stays as it is and in charge of its proxies; the edge adds objects
to it. isthmus zone manifest --help says what the line puts into the cluster.`,
		Example: `  isthmus zone create dc1
  isthmus zone create fra2 --type machines --region eu-central --zone eu-central-1b
  isthmus zone create c1 --type kubernetes --region eu-central`,
		RunE: func(command *cobra.Command, args []string) error {
			if err := checkZone(spec, image); err != nil {
				return err
			}
			hub, err := c.client()
			if err != nil {
				return err
			}
			if _, err := hub.Info(command.Context()); err != nil {
				return err // without it there is no token, and half a zone helps nobody
			}
			if err := hub.CreateZone(command.Context(), args[0], spec); err != nil {
				return err
			}
			return c.printToken(command.Context(), hub, form, edgeToken(args[0], edgeTokenTTL), edgeLine(spec.Type, image))
		},
	}
	command.Flags().StringVar((*string)(&spec.Type), "type", string(v1alpha1.ZoneMachines), "machines or kubernetes")
	command.Flags().StringVar(&spec.Locality.Region, "region", "", "region the zone lies in, for failover")
	command.Flags().StringVar(&spec.Locality.Zone, "zone", "", "zone inside the region; default: NAME")
	command.Flags().StringVar(&image, "image", "", "image of the edge in a Kubernetes zone; default: that of this version")
	form.addTo(command)
	return command
}

// checkZone finds what is wrong with the flags of zone create.
func checkZone(spec v1alpha1.ZoneSpec, image string) error {
	switch {
	case spec.Type != v1alpha1.ZoneMachines && spec.Type != v1alpha1.ZoneKubernetes:
		return usage("--type %s: want machines or kubernetes", spec.Type)
	case spec.Type != v1alpha1.ZoneKubernetes && image != "":
		return usage("--image is for zones of type kubernetes: elsewhere the edge is this program")
	}
	return nil
}

func edgeToken(zone string, ttl time.Duration) hubclient.TokenRequest {
	return hubclient.TokenRequest{Role: v1alpha1.JoinEdge, Zone: zone, TTL: ttl}
}

// zoneRow is a zone as zone list prints it.
type zoneRow struct {
	Name      string            `json:"name"`
	Type      v1alpha1.ZoneType `json:"type"`
	Edges     int32             `json:"edges"`
	Connected bool              `json:"connected"`
	Addresses []string          `json:"addresses,omitempty"`
}

func (c *CLI) zoneList() *cobra.Command {
	var form output
	command := &cobra.Command{
		Use: "list", Short: "List zones", Args: cobra.NoArgs,
		Long: "List the zones, whether their edges are connected, and where agents reach them.",
		RunE: func(command *cobra.Command, _ []string) error {
			hub, err := c.client()
			if err != nil {
				return err
			}
			zones, err := hub.Zones(command.Context())
			if err != nil {
				return err
			}
			rows := zoneRows(zones)
			return form.print(c.streams.Out, rows, func(w io.Writer) error { return printZones(w, rows) })
		},
	}
	form.addTo(command)
	return command
}

func zoneRows(zones []v1alpha1.Zone) []zoneRow {
	rows := make([]zoneRow, 0, len(zones))
	for _, z := range zones {
		rows = append(rows, zoneRow{z.Name, z.Spec.Type, z.Status.Edges,
			meta.IsStatusConditionTrue(z.Status.Conditions, v1alpha1.ConditionConnected), z.Status.Addresses})
	}
	return rows
}

func printZones(w io.Writer, rows []zoneRow) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(w, "No zones. Make one: isthmus zone create NAME")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "NAME\tTYPE\tEDGES\tCONNECTED\tADDRESSES")
	for _, z := range rows {
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\n", z.Name, z.Type, z.Edges, yesNo(z.Connected), orDash(strings.Join(z.Addresses, ",")))
	}
	return table.Flush()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func (c *CLI) zoneDelete() *cobra.Command {
	var force bool
	command := &cobra.Command{
		Use: "delete NAME", Short: "Remove a zone", Args: oneName,
		Long: `Remove a zone and its tokens. Edges and agents of the zone are not stopped; they keep what they
have and get nothing new. A zone in use is removed only with --force.`,
		RunE: func(command *cobra.Command, args []string) error {
			hub, err := c.client()
			if err != nil {
				return err
			}
			if err := refuseInUse(command.Context(), hub, args[0], force); err != nil {
				return err
			}
			if err := hub.DeleteZone(command.Context(), args[0]); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.streams.Out, "zone %s removed\n", args[0])
			return err
		},
	}
	command.Flags().BoolVar(&force, "force", false, "remove a zone that edges or workloads use")
	return command
}

// refuseInUse returns an error for a zone with edges or workloads, unless forced.
func refuseInUse(ctx context.Context, hub *hubclient.Client, name string, force bool) error {
	zone, err := hub.Zone(ctx, name)
	if err != nil || force {
		return err
	}
	workloads, err := hub.WorkloadsIn(ctx, name)
	if err != nil {
		return err
	}
	if zone.Status.Edges > 0 || len(workloads) > 0 {
		return fmt.Errorf("zone %s is in use: %s connected, %s. Stop them first, or pass --force",
			name, count(int(zone.Status.Edges), "edge"), count(len(workloads), "workload"))
	}
	return nil
}

// client returns a client of the hub the flags and the environment name.
func (c *CLI) client() (*hubclient.Client, error) {
	config, err := c.hub.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	return hubclient.New(config, time.Now)
}

// oneName wants exactly one argument, a name.
func oneName(command *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage("want one NAME: isthmus %s", command.UseLine()[len("isthmus "):])
	}
	return nil
}

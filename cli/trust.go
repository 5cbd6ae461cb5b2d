package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/identity"
)

func (c *CLI) zoneTrust() *cobra.Command {
	return &cobra.Command{
		Use: "trust NAME", Short: "Print what has a cluster with a root of its own trust the mesh", Args: oneName,
		Long: `Print values for the Helm chart of the cluster's istiod, which nobody but the cluster's owner
changes: istiod then gives its proxies the roots of the mesh, and of the other federated clusters with
which the zone shares a workspace, and lets in peers of their trust domains. No trust domain is an alias
of another. It is for clusters that zone federate is for; one with the mesh's root needs nothing.

istiod has to be restarted, and then the pods with proxies: only new proxies ask for the roots. An
Istio's proxy believes each of its roots for each of the trust domains. Policies of the cluster that
name callers by namespace or account admit those of that name of every trust domain: have them say
trustDomains, or principals.`,
		Example: `  isthmus zone trust prod-1 | helm upgrade istiod istio/istiod -n istio-system --reuse-values -f -`,
		RunE: func(command *cobra.Command, args []string) error {
			hub, err := c.client()
			if err != nil {
				return err
			}
			if _, err := hub.Zone(command.Context(), args[0]); err != nil {
				return err
			}
			info, err := hub.Info(command.Context())
			if err != nil {
				return err
			}
			zones, err := hub.Zones(command.Context())
			if err != nil {
				return err
			}
			workspaces, err := hub.Workspaces(command.Context())
			if err != nil {
				return err
			}
			trusted := append([]v1alpha1.ZoneTrust{{Domain: info.TrustDomain, Roots: info.Root}}, neighbours(args[0], zones, workspaces)...)
			values, err := istiodValues(trusted)
			if err != nil {
				return err
			}
			text, err := yaml.Marshal(values)
			if err != nil {
				return err
			}
			_, err = c.streams.Out.Write(text)
			return err
		},
	}
}

// neighbours are what the federated clusters are trusted for with which a zone shares a workspace, by domain.
func neighbours(name string, zones []v1alpha1.Zone, workspaces []v1alpha1.Workspace) []v1alpha1.ZoneTrust {
	var all []v1alpha1.ZoneTrust
	for _, z := range zones {
		share := func(w v1alpha1.Workspace) bool { return w.Spec.NamesZone(name) && w.Spec.NamesZone(z.Name) }
		if z.Name != name && z.Spec.Trust != nil && slices.ContainsFunc(workspaces, share) {
			all = append(all, *z.Spec.Trust)
		}
	}
	slices.SortFunc(all, func(a, b v1alpha1.ZoneTrust) int {
		return cmp.Or(strings.Compare(a.Domain, b.Domain), strings.Compare(a.Roots, b.Roots))
	})
	return slices.Compact(all)
}

// istiodValues are of Istio's chart: the roots, and that istiod tells its proxies of them and these listen.
func istiodValues(trusted []v1alpha1.ZoneTrust) (map[string]any, error) {
	certificates := make([]map[string]any, 0, len(trusted))
	for _, t := range trusted {
		roots, err := identity.DecodeCertificates([]byte(t.Roots))
		if err != nil {
			return nil, fmt.Errorf("roots of %s: %w", t.Domain, err)
		}
		for i := range roots { // of several in one text istiod would take the first
			pem := string(identity.EncodeCertificates(roots[i : i+1]))
			certificates = append(certificates, map[string]any{"pem": pem, "trustDomains": []string{t.Domain}})
		}
	}
	return map[string]any{
		"env": map[string]string{"ISTIO_MULTIROOT_MESH": "true"},
		"meshConfig": map[string]any{
			"caCertificates": certificates,
			"defaultConfig":  map[string]any{"proxyMetadata": map[string]string{"PROXY_CONFIG_XDS_AGENT": "true"}},
		},
	}, nil
}

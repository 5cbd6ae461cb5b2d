package cli

import (
	"crypto/x509"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/identity"
)

func (c *CLI) zoneFederate() *cobra.Command {
	var want federation
	var end bool
	var form output
	command := &cobra.Command{
		Use: "federate NAME", Short: "Trust a cluster that keeps a root of its own, for its own trust domain", Args: oneName,
		Long: `Show under which roots the Istio of a cluster issues certificates, as its edge tells, and with --root
have the zones that share a workspace with it accept them: for identities of the cluster's trust domain
and of no other. Nothing is trusted by itself, and a root that the cluster changes is not trusted until
this command names it; while one replaces another, name both.

The cluster has to trust the mesh as well: isthmus zone trust prints what its istiod needs for that.`,
		Example: `  isthmus zone federate prod-1
  isthmus zone federate prod-1 --domain prod-1.example --root 7d5c...
  isthmus zone federate prod-1 --end`,
		RunE: func(command *cobra.Command, args []string) error {
			hub, err := c.client()
			if err != nil {
				return err
			}
			zone, err := hub.Zone(command.Context(), args[0])
			if err != nil {
				return err
			}
			if end {
				if err := hub.TrustZone(command.Context(), zone.Name, nil); err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.streams.Out, "zone %s is trusted for nothing but what the mesh's root vouches for\n", zone.Name)
				return err
			}
			found, err := shownBy(zone)
			if err != nil {
				return err
			}
			if len(want.roots) == 0 {
				return form.print(c.streams.Out, found.data(), found.words)
			}
			trust, err := found.accept(want)
			if err != nil {
				return err
			}
			if err := hub.TrustZone(command.Context(), zone.Name, trust); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.streams.Out, "zone %s is trusted for %s; for the way back: isthmus zone trust %s\n", zone.Name, trust.Domain, zone.Name)
			return err
		},
	}
	command.Flags().StringVar(&want.domain, "domain", "", "trust domain of the cluster's Istio; default: what its proxies say")
	command.Flags().StringSliceVar(&want.roots, "root", nil, "SHA-256 fingerprint of a root to trust, hexadecimal")
	command.Flags().BoolVar(&end, "end", false, "trust the cluster's own roots no more")
	command.MarkFlagsMutuallyExclusive("end", "root")
	command.MarkFlagsMutuallyExclusive("end", "domain")
	form.addTo(command)
	return command
}

// federation is what the user wants to be trusted.
type federation struct {
	domain string
	roots  []string
}

// shown is what a cluster shows of the trust it is built on.
type shown struct {
	zone    string
	domains []string
	roots   []*x509.Certificate
}

// shownBy reads what the edge of a zone told.
func shownBy(zone v1alpha1.Zone) (shown, error) {
	cluster := zone.Status.Cluster
	switch {
	case zone.Spec.Type != v1alpha1.ZoneKubernetes:
		return shown{}, fmt.Errorf("zone %s is one of machines, which have the mesh's root", zone.Name)
	case cluster != nil && cluster.Istio.Trust == v1alpha1.TrustMesh:
		return shown{}, fmt.Errorf("zone %s has the mesh's root: there is nothing to federate", zone.Name)
	case cluster == nil || cluster.Istio.Roots == "":
		return shown{}, fmt.Errorf("zone %s has not told under which root its Istio issues certificates: see isthmus status", zone.Name)
	}
	roots, err := identity.DecodeCertificates([]byte(cluster.Istio.Roots))
	return shown{zone.Name, cluster.Istio.TrustDomains, roots}, err
}

// shownData is what it prints as data.
type shownData struct {
	Zone         string      `json:"zone"`
	TrustDomains []string    `json:"trustDomains"`
	Roots        []shownRoot `json:"roots"`
}

type shownRoot struct {
	Subject string    `json:"subject"`
	SHA256  string    `json:"sha256"`
	Until   time.Time `json:"until"`
}

func (s shown) data() shownData {
	data := shownData{Zone: s.zone, TrustDomains: s.domains}
	for _, root := range s.roots {
		data.Roots = append(data.Roots, shownRoot{root.Subject.String(), identity.Fingerprint(root), root.NotAfter.UTC()})
	}
	return data
}

// words show the roots, and what to do when they are the right ones.
func (s shown) words(w io.Writer) error {
	domain := strings.Join(s.domains, ", ")
	if domain == "" {
		domain = "not known: no proxy of the cluster says it"
	}
	fmt.Fprintf(w, "Zone %s\nTrust domain  %s\n", s.zone, domain)
	command := "isthmus zone federate " + s.zone
	if len(s.domains) != 1 {
		command += " --domain DOMAIN"
	}
	for _, root := range s.roots {
		fingerprint := identity.Fingerprint(root)
		fmt.Fprintf(w, "Root          %s\n              SHA-256 %s, until %s\n", root.Subject, fingerprint, root.NotAfter.UTC().Format(time.DateOnly))
		command += " --root " + fingerprint
	}
	_, err := fmt.Fprintf(w, "\nIf the cluster's owner says the same, trust it: %s\n", command)
	return err
}

// accept is what the user wants, if the cluster shows it.
func (s shown) accept(want federation) (*v1alpha1.ZoneTrust, error) {
	trust := &v1alpha1.ZoneTrust{Domain: want.domain}
	if trust.Domain == "" {
		if len(s.domains) != 1 {
			return nil, usage("--domain is needed: zone %s shows %d trust domains", s.zone, len(s.domains))
		}
		trust.Domain = s.domains[0]
	}
	if len(s.domains) > 0 && !slices.Contains(s.domains, trust.Domain) {
		return nil, fmt.Errorf("zone %s shows no proxies of trust domain %s, but of %s", s.zone, trust.Domain, strings.Join(s.domains, ", "))
	}
	for _, wanted := range want.roots {
		fingerprint := strings.ToLower(strings.ReplaceAll(wanted, ":", ""))
		i := slices.IndexFunc(s.roots, func(root *x509.Certificate) bool { return identity.Fingerprint(root) == fingerprint })
		if i < 0 {
			return nil, fmt.Errorf("zone %s shows no root with the fingerprint %s: see isthmus zone federate %s", s.zone, wanted, s.zone)
		}
		trust.Roots += string(identity.EncodeCertificates(s.roots[i : i+1]))
	}
	return trust, nil
}

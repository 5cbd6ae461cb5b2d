package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/isthmus-mesh/isthmus/deploy"
	"github.com/isthmus-mesh/isthmus/identity"
)

func (c *CLI) zoneManifest(build Build) *cobra.Command {
	var values deploy.Values
	command := &cobra.Command{
		Use: "manifest --join TOKEN", Short: "Print what joins a Kubernetes cluster", Args: cobra.NoArgs,
		Long: `Print the objects that run the edge of a Kubernetes zone, for kubectl apply: the namespace
` + deploy.Namespace + `, the edge with its disk, a Secret with the token, and what the edge may do. That is to
look at services and where they run, to write Istio's networking and security kinds, and to ask istiod
what its proxies acknowledged; it may read no Secret. No hub is asked, and no cluster: look at the output before it is applied.

A second --join starts a second edge, which goes on when a node dies. An edge that has joined needs
its token no more; it ignores the one it is given.

The cluster must run Istio, and its pods must reach the hub. Take the edge out again by
kubectl delete -f - instead of apply; what it wrote stays, so that traffic goes on.`,
		Example: `  isthmus zone manifest --join isthmus1.eyJu... | kubectl apply -f -
  isthmus zone manifest --join isthmus1.eyJu... --image registry.example.com/isthmus:v0.1.0`,
		RunE: func(*cobra.Command, []string) error {
			if err := checkTokens(values.JoinTokens); err != nil {
				return err
			}
			text, err := deploy.Manifest(build.Version, values)
			if err != nil {
				return err
			}
			_, err = c.streams.Out.Write(text)
			return err
		},
	}
	command.Flags().StringArrayVar(&values.JoinTokens, "join", nil, "join token of role edge; one for each of one or two edges")
	command.Flags().StringVar(&values.Image, "image", "", "image of the edge, REPOSITORY:TAG; default: that of this version")
	command.Flags().StringVar(&values.IstioNamespace, "istio-namespace", "", "namespace in which the cluster's istiod runs; default: istio-system")
	return command
}

// checkTokens finds what is wrong with tokens before a cluster does, minutes later and in a log.
func checkTokens(tokens []string) error {
	if len(tokens) < 1 || len(tokens) > 2 {
		return usage("want --join TOKEN once or twice: isthmus zone create NAME --type kubernetes makes a token")
	}
	for i, token := range tokens {
		tokens[i] = strings.TrimSpace(token)
		if _, err := identity.ParseToken(token); err != nil {
			return err
		}
	}
	if len(tokens) == 2 && tokens[0] == tokens[1] {
		return usage("a token admits one edge: make another with isthmus token create --role edge --zone NAME")
	}
	return nil
}

package cli

import (
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/isthmus-mesh/isthmus/edge"
)

func (c *CLI) edgeCacerts() *cobra.Command {
	var dataDir string
	command := &cobra.Command{
		Use: "cacerts", Short: "Print the zone's authority as a Secret for the cluster's istiod", Args: cobra.NoArgs,
		Long: `Print the Secret istio-system/cacerts: the intermediate authority that the hub gave the zone of this
edge. An istiod that starts with it issues certificates that all zones of the mesh trust; istiod
has to be restarted, and its mesh configuration has to name the mesh's trust domain.

The Secret holds a private key. It ends when the zone's authority does: print it again before.`,
		Example: `  isthmus edge cacerts | kubectl apply -f -`,
		RunE: func(*cobra.Command, []string) error {
			files, err := edge.Cacerts(c.folder(dataDir, "edge"), time.Now)
			if err != nil {
				return err
			}
			text, err := yaml.Marshal(corev1.Secret{
				TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
				ObjectMeta: metav1.ObjectMeta{Namespace: "istio-system", Name: "cacerts"},
				Data:       files,
			})
			if err != nil {
				return err
			}
			_, err = c.streams.Out.Write(text)
			return err
		},
	}
	command.Flags().StringVar(&dataDir, "data", "", "folder of the edge; default: ~/.isthmus/edge")
	return command
}

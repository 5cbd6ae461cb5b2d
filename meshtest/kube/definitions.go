package kube

import (
	"io/fs"

	"github.com/isthmus-mesh/isthmus/api/crd"
	"github.com/isthmus-mesh/isthmus/meshtest"
)

// InstallGatewayCRDs installs the definitions of the Gateway API's kinds, of the version that the hub serves.
func (c *Cluster) InstallGatewayCRDs() {
	c.t.Helper()
	files, err := fs.Glob(crd.Files, "gateway/*.yaml")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, file := range files {
		text, err := crd.Files.ReadFile(file)
		if err != nil {
			c.t.Fatal(err)
		}
		c.Apply(string(text))
	}
	meshtest.Eventually(c.t, "the Gateway API's kinds are served", func() error {
		_, err := c.Core.Discovery().ServerResourcesForGroupVersion("gateway.networking.k8s.io/v1")
		return err
	})
}

// Command istioagent is Istio's stock agent of a pod, pilot-agent.
package main

import (
	"os"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/cmd/pilot-agent/app"
	istioagent "istio.io/istio/pkg/istio-agent"
	"istio.io/istio/pkg/log"
	"istio.io/istio/pkg/security"
	"istio.io/istio/security/pkg/nodeagent/sds"
)

func main() {
	log.EnableKlogWithCobra()
	command := app.NewRootCommand(func(options *security.Options, secrets security.SecretManager, keys *meshconfig.PrivateKeyProvider) istioagent.SDSService {
		return sds.NewServer(options, secrets, keys)
	})
	if err := command.Execute(); err != nil {
		log.Error(err)
		os.Exit(1)
	}
}

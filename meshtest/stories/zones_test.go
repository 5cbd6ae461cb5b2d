package stories_test

import (
	"fmt"
	"testing"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// eastWestGateway is the Gateway "bridge", through which other zones reach a zone of machines.
const eastWestGateway = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: bridge, namespace: shop}
spec:
  gatewayClassName: isthmus-east-west
  listeners: [{name: tls, port: 15443, protocol: TLS, tls: {mode: Passthrough}}]
`

// zoneWeights is a route that shares the requests for reviews between two zones.
func zoneWeights(first string, share int, second string, rest int) string {
	return route("reviews", fmt.Sprintf(`  - backendRefs:
    - {group: isthmus.dev, kind: Subset, name: reviews-%s, port: 9080, weight: %d}
    - {group: isthmus.dev, kind: Subset, name: reviews-%s, port: 9080, weight: %d}`, first, share, second, rest))
}

// eventuallyAll waits until all answers come from one version of a service, none failing.
func eventuallyAll(t *testing.T, from *meshtest.Machine, url, service, version string) {
	t.Helper()
	meshtest.Eventually(t, from.Name+" reaches "+service+" of "+version, func() error {
		if tally := from.Ask(20, url); tally.Failed() > 0 || tally.ByVersion(service, version) != 20 {
			return fmt.Errorf("%s", tally)
		}
		return nil
	})
}

package stories_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
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

// shopZones is a shop of which each service may live in several zones of machines.
type shopZones struct {
	*testing.T
	mesh  *meshtest.World
	zones map[string]*meshtest.Zone
	// gateways are the machines through which the zones are entered, and joining the agents that are waited for.
	gateways map[string]*meshtest.Machine
	joining  []*meshtest.Agent
}

const shopIntent = `apiVersion: isthmus.dev/v1alpha1
kind: Workspace
metadata: {name: shop}
---
` + eastWestGateway

func newShopZones(t *testing.T) *shopZones {
	s := &shopZones{T: t, mesh: meshtest.New(t), zones: map[string]*meshtest.Zone{}, gateways: map[string]*meshtest.Machine{}}
	s.mesh.Hub()
	s.mesh.Apply(shopIntent)
	return s
}

// open makes a zone with a gateway. Flags are those of "isthmus zone create".
func (s *shopZones) open(name string, flags ...string) {
	s.Helper()
	gateway := s.mesh.Machine("bridge-" + name)
	s.zones[name], s.gateways[name] = s.mesh.Zone(name, flags...), gateway
	s.joining = append(s.joining, gateway.TryGateway(s.zones[name].GatewayToken("shop", "bridge")))
	s.entered(name, gateway.IPv4)
}

// entered says by which gateways other zones enter one.
func (s *shopZones) entered(zone string, gateways ...netip.Addr) {
	s.Helper()
	text, err := json.Marshal(gateways)
	if err != nil {
		s.Fatal(err)
	}
	s.mesh.Kubectl("patch", "zone", zone, "--type=merge", fmt.Sprintf(`--patch={"spec":{"eastWest":{"addresses":%s}}}`, text))
}

// join runs a service of the shop on a machine of its own; its version is its zone.
func (s *shopZones) join(zone, service, port string, flags ...string) (*meshtest.Machine, *meshtest.Process, *meshtest.Agent) {
	s.Helper()
	return s.joinAs(service+strings.TrimPrefix(zone, "dc"), zone, service, port, flags...)
}

// joinAs is join for a machine of that name.
func (s *shopZones) joinAs(machine, zone, service, port string, flags ...string) (*meshtest.Machine, *meshtest.Process, *meshtest.Agent) {
	s.Helper()
	m := s.mesh.Machine(machine)
	app := m.Serve(service, append(flags, "--version="+zone)...)
	check := "--check=http://127.0.0.1:9080/health"
	if service == "ledger" {
		check = "--check=tcp"
	}
	agent := m.TryJoin(s.zones[zone].Token("shop", service), "--port="+port, "--version="+zone, check)
	s.joining = append(s.joining, agent)
	return m, app, agent
}

// joined waits for all that join.
func (s *shopZones) joined() {
	s.Helper()
	for _, agent := range s.joining {
		agent.WaitReady()
	}
}

// weights is a route that shares the requests for reviews between two of its subsets, such as zones.
func weights(first string, share int, second string, rest int) string {
	return route("reviews", fmt.Sprintf(`  - backendRefs:
    - {group: isthmus.dev, kind: Subset, name: reviews-%s, port: 9080, weight: %d}
    - {group: isthmus.dev, kind: Subset, name: reviews-%s, port: 9080, weight: %d}`, first, share, second, rest))
}

// eventuallyAll waits until all answers come from one version of a service, none failing.
func eventuallyAll(t *testing.T, from *meshtest.Machine, url, service, version string) {
	t.Helper()
	eventuallyShared(t, from, url, service, version)
}

// eventuallyShared waits until all answers come from these versions of a service and from each of them, none failing.
func eventuallyShared(t *testing.T, from *meshtest.Machine, url, service string, versions ...string) {
	t.Helper()
	meshtest.Eventually(t, fmt.Sprintf("%s reaches %s of %v", from.Name, service, versions), func() error {
		tally, sum := from.Ask(20, url), 0
		for _, version := range versions {
			answered := tally.ByVersion(service, version)
			if answered == 0 {
				return fmt.Errorf("%s", tally)
			}
			sum += answered
		}
		if tally.Failed() > 0 || sum != 20 {
			return fmt.Errorf("%s", tally)
		}
		return nil
	})
}

package stories_test

import (
	"testing"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// TestTraffic counts what every kind of traffic rule does to requests. All parts are told in one mesh, which
// each leaves as it was.
func TestTraffic(t *testing.T) {
	mesh := meshtest.New(t)
	zone := mesh.Zone("dc1")
	shop := zone.Shop()
	for _, part := range []struct {
		name string
		tell func(world)
	}{
		{"canary by weight", canary},
		{"canary within a second", promptCanary},
		{"header match", headerMatch},
		{"every match", everyMatch},
		{"programmed means obeyed", programmedMeansObeyed},
		{"programmed means by all", programmedWaitsForAll},
		{"mirror", mirror},
		{"mirror of a share", mirrorShare},
		{"filters", filters},
		{"retries", retries},
		{"retry budget", retryBudget},
		{"timeouts", timeouts},
		{"timeouts of single attempts", attemptTimeouts},
		{"timeouts of connections", connectionTimeouts},
		{"targets of policies", targets},
		{"fault injection", faults},
		{"a backend is missing", lostBackend},
		{"connection limits", connectionLimits},
		{"outlier ejection", ejection},
		{"failover", failover},
		{"round robin and least request", balance},
		{"consistent hash by header", hashByHeader},
		{"consistent hash by cookie", hashByCookie},
		{"consistent hash by source address", hashBySource},
		{"policies change under load", changesUnderLoad},
		{"a route of a mebibyte", largeRoute},
		{"gRPC route", grpcRoute},
		{"TCP route", tcpRoute},
		{"health checks by gRPC and TCP", checks},
		{"TLS to an external service", externalTLS},
		{"TLS ingress", tlsIngress},
		{"TLS passed through by name", passthrough},
		{"another gateway", anotherGateway},
		{"direct mode", directMode},
	} {
		mesh.Run(t, part.name, func(t *testing.T) { part.tell(world{t, shop, mesh, zone}) })
	}
}

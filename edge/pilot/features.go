package pilot

import (
	"math"
	"sync"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pilot/pkg/xds"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/jwt"
	istiolog "istio.io/istio/pkg/log"

	"github.com/isthmus-mesh/isthmus/compiler/istio"
)

const (
	// RootNamespace is where configuration for the whole mesh lives.
	RootNamespace = "isthmus-system"
	// Domain is the last part of every service's name.
	Domain = "mesh"

	// istioVersion is what proxies are said to run; Pilot generates by it.
	istioVersion = "1.31.0"
)

// setFeatures sets Istio's package variables, once. They are read while configuration is generated, so this must come
// before anything is served.
var setFeatures = sync.OnceFunc(func() {
	// Filters that only Istio's own build of Envoy has.
	features.ALPNFilter = false
	features.MetadataExchange = false
	// Without its controller a single health message ends the process; agents report health to us.
	features.WorkloadEntryHealthChecks = false
	// Addresses of both families reach proxies that have both.
	features.EnableDualStack = true
	// Proxies fetch the keys of tokens themselves, through clusters of their own: Istio would fetch them here, while
	// all proxies wait, and from wherever somebody writes.
	features.JwksFetchMode = jwt.Envoy
	quiet()
	orderPushes()
})

// quiet leaves Istio's logs to errors: what matters of streams is logged here, with our names. That a host of keys is
// unknown it would say in every push; the hub says it on the object.
func quiet() {
	for name, scope := range istiolog.Scopes() {
		scope.SetOutputLevel(istiolog.ErrorLevel)
		if name == "authn" {
			scope.SetOutputLevel(istiolog.NoneLevel)
		}
	}
}

// orderPushes makes the order of types within a push complete, with [tailType] at the end: Istio sends
// types it does not list in random order.
func orderPushes() {
	if xds.KnownOrderedTypeUrls.Contains(tailType) {
		return
	}
	for _, t := range []string{v3.ExtensionConfigurationType, v3.NameTableType, tailType} {
		xds.PushOrder = append(xds.PushOrder, t)
		xds.KnownOrderedTypeUrls.Insert(t)
	}
}

// meshConfig is the configuration Istio calls the mesh's. Peers of the federated trust domains are accepted; their
// names are no aliases, which would make a policy for an account of the mesh admit theirs.
func meshConfig(trustDomain string, federated []string) *meshconfig.MeshConfig {
	m := mesh.DefaultMeshConfig()
	m.TrustDomain = trustDomain
	if len(federated) > 0 { // their roots are the agents' business
		m.CaCertificates = []*meshconfig.MeshConfig_CertificateData{{TrustDomains: federated}}
	}
	m.RootNamespace = RootNamespace
	istio.Defaults(m)
	// Istio's metrics filter is not part of upstream Envoy, its other defaults write files.
	m.ExtensionProviders = nil
	m.DefaultProviders = &meshconfig.MeshConfig_DefaultProviders{}
	m.EnableTracing = false
	// Applications keep reaching what they reached before they joined.
	m.OutboundTrafficPolicy.Mode = meshconfig.MeshConfig_OutboundTrafficPolicy_ALLOW_ANY
	return m
}

// noLimit lifts Istio's limit of new streams per second: a zone's proxies may all come back at once.
const noLimit = math.MaxFloat64

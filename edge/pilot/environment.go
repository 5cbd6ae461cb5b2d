package pilot

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/time/rate"
	security "istio.io/api/security/v1beta1"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/networking/core"
	"istio.io/istio/pilot/pkg/xds"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
	"istio.io/istio/pkg/cluster"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/mesh/meshwatcher"
	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/kube/krt"
	istiosecurity "istio.io/istio/pkg/security"
	"istio.io/istio/pkg/util/sets"
)

// build wires Istio's parts to ours. Istio's own updates (its XDSUpdater) are never asked for: every push
// is made by push.
func (p *Pilot) build() error {
	p.env = model.NewEnvironment()
	p.env.DomainSuffix = Domain
	p.mesh = krt.NewStatic(&meshwatcher.MeshConfigResource{MeshConfig: meshConfig(p.trustDomain, nil)}, true)
	watcher := meshwatcher.ConfigAdapter(p.mesh)
	p.env.Watcher = watcher
	p.env.NetworksWatcher = meshwatcher.NetworksAdapter(krt.NewStatic(&meshwatcher.MeshNetworksResource{MeshNetworks: mesh.DefaultMeshNetworks()}, true))
	p.store = newStore(p.stop)
	p.store.put(strictMTLS())
	p.registry = newRegistry(p.place, p.env.EndpointIndex)
	p.secrets = newSecrets(p.registry.isGateway)
	merged := model.NewVirtualServiceController(p.store, model.VSControllerOptions{}, watcher)
	p.store.virtualServices.watch(merged.Collection())
	p.env.ServiceDiscovery, p.env.ConfigStore, p.env.VirtualServiceController = p.registry, p.store, merged
	p.env.CredentialsController = p.secrets
	p.env.Init()
	if err := p.env.InitNetworksManager(nil); err != nil {
		return fmt.Errorf("istio networks: %w", err)
	}
	p.serve()
	return nil
}

// serve makes the server of Istio's discovery protocol.
func (p *Pilot) serve() {
	s := xds.NewDiscoveryServer(p.env, nil, new(krt.DebugHandler))
	s.RequestRateLimit = rate.NewLimiter(rate.Inf, 1)
	s.Authenticators = []istiosecurity.Authenticator{authenticator{}}
	s.ProxyNeedsPush = p.needsPush
	generate := newSharing(core.NewConfigGenerator(s.Cache), p.streams, p.store)
	p.sharing = generate
	s.Generators = p.guarded(map[string]model.XdsResourceGenerator{
		v3.ClusterType:                &xds.CdsGenerator{ConfigGenerator: generate},
		v3.ListenerType:               &listeners{&xds.LdsGenerator{ConfigGenerator: generate}, p.store, p.explicit},
		v3.RouteType:                  &routes{&xds.RdsGenerator{ConfigGenerator: generate}, p.explicit},
		v3.EndpointType:               &xds.EdsGenerator{Cache: s.Cache, EndpointIndex: p.env.EndpointIndex},
		v3.ExtensionConfigurationType: &xds.EcdsGenerator{ConfigGenerator: generate},
		v3.NameTableType:              &xds.NdsGenerator{ConfigGenerator: generate},
		v3.SecretType:                 secretGenerator{xds.NewSecretGen(p.secrets, s.Cache, cluster.ID(p.zone), p.env.Mesh())},
	})
	s.Generators[tailType] = tail{p.streams, &p.current}
	p.xds = s
}

// strictMTLS is the default of the whole mesh: only mutual TLS is accepted.
func strictMTLS() config.Config {
	return config.Config{
		Meta: config.Meta{GroupVersionKind: gvk.PeerAuthentication, Namespace: RootNamespace, Name: "default"},
		Spec: &security.PeerAuthentication{Mtls: &security.PeerAuthentication_MutualTLS{
			Mode: security.PeerAuthentication_MutualTLS_STRICT,
		}},
	}
}

// version names a push, as text in Istio's PushVersion: the epoch counts pushes, the revision is what a
// proxy has that acknowledged all of it.
type version struct {
	epoch    uint64
	revision int64
}

func (v version) String() string {
	return strconv.FormatUint(v.epoch, 10) + "/" + strconv.FormatInt(v.revision, 10) + "/"
}

func parseVersion(text string) version {
	parts := strings.SplitN(text, "/", 3)
	if len(parts) != 3 {
		return version{}
	}
	epoch, _ := strconv.ParseUint(parts[0], 10, 64)
	revision, _ := strconv.ParseInt(parts[1], 10, 64)
	return version{epoch, revision}
}

// push sends all proxies what the changes mean for them; none means that only the revision advances.
// Caller holds mu.
func (p *Pilot) push(changed sets.Set[model.ConfigKey], reason model.TriggerReason) {
	p.send(&model.PushRequest{ConfigsUpdated: changed, Reason: model.NewReasonStats(reason)})
}

// pushAll sends all proxies everything anew, of which only differences leave the edge. Caller holds mu.
func (p *Pilot) pushAll() {
	p.send(&model.PushRequest{Forced: true, Reason: model.NewReasonStats(model.GlobalUpdate)})
}

// send does what Istio's debouncer would, at once. Caller holds mu.
func (p *Pilot) send(req *model.PushRequest) {
	p.epoch++
	push := model.NewPushContext()
	push.PushVersion = version{p.epoch, p.settledRevision()}.String()
	push.JwtKeyResolver = p.xds.JwtKeyResolver
	push.InitContext(p.env, p.env.PushContext(), req)
	if req.Forced {
		p.xds.Cache.ClearAll()
	} else {
		p.xds.Cache.Clear(req.ConfigsUpdated)
	}
	p.env.SetPushContext(push)
	req.Push = push
	p.xds.AdsPushAll(req)
	p.current.Store(&activation{push, req.Start}) // an earlier date would not be cached beside those of the push
}

// needsPush is asked by Istio before it generates for a proxy. A proxy that needs nothing has the revision.
func (p *Pilot) needsPush(proxy *model.Proxy, req *model.PushRequest) (*model.PushRequest, bool) {
	if st := p.streams.of(proxy); st != nil && st.ledger.stumbled() {
		return again(req), true
	}
	narrowed, needed := xds.DefaultProxyNeedsPush(proxy, req)
	if !needed {
		p.streams.sent(proxy, req)
	}
	return narrowed, needed
}

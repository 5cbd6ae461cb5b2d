package pilot

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/networking/core"
	"istio.io/istio/pkg/config/schema/kind"
	"istio.io/istio/pkg/util/sets"
)

// sharing is Istio's generator, made to do less: sidecars that are alike get the same routes, made once a push, and
// clusters are left alone by changes that cannot touch them. It also bounds how much is generated at once: what a
// thousand proxies that come together need would not fit in memory half done.
type sharing struct {
	core.ConfigGenerator
	streams *streams
	store   *store
	slots   chan struct{}
	// gateway is held while listeners of a gateway are made: Istio edits the Gateway objects meanwhile, which others read.
	gateway sync.Mutex

	mu    sync.Mutex // guards the rest
	epoch uint64     // whose routes are in made: the newest
	made  map[sharedRoutes]sharedResult
}

// sharedRoutes is all that routes are made from, beside the push: the workload as far as it is no individual, the
// part of the configuration that Istio chose for it, and the names it asked for.
type sharedRoutes struct {
	kin   string
	scope *model.SidecarScope
	names string
}

// sharedResult makes routes once; it panics for everybody when that panics.
type sharedResult func() (model.Resources, model.XdsLogDetails)

func newSharing(g core.ConfigGenerator, streams *streams, store *store) *sharing {
	return &sharing{
		ConfigGenerator: g, streams: streams, store: store,
		slots: make(chan struct{}, 2*runtime.GOMAXPROCS(0)), made: map[sharedRoutes]sharedResult{},
	}
}

// enter waits for a slot, and returns what gives it back.
func (g *sharing) enter() (leave func()) {
	g.slots <- struct{}{}
	return func() { <-g.slots }
}

// BuildListeners implements [core.ConfigGenerator].
func (g *sharing) BuildListeners(proxy *model.Proxy, push *model.PushContext) []*listenerv3.Listener {
	defer g.enter()()
	if proxy.Type == model.Router {
		g.gateway.Lock()
		defer g.gateway.Unlock()
	}
	all := g.ConfigGenerator.BuildListeners(proxy, push)
	tellUnreached(all)
	return all
}

// BuildClusters implements [core.ConfigGenerator].
func (g *sharing) BuildClusters(proxy *model.Proxy, req *model.PushRequest) ([]*discovery.Resource, model.XdsLogDetails) {
	defer g.enter()()
	return g.ConfigGenerator.BuildClusters(proxy, req)
}

// BuildDeltaClusters implements [core.ConfigGenerator]. A sidecar's clusters are made from services, so virtual
// services matter only when they make it see others.
func (g *sharing) BuildDeltaClusters(proxy *model.Proxy, req *model.PushRequest, w *model.WatchedResource) ([]*discovery.Resource, []string, model.XdsLogDetails, bool) {
	if proxy.Type == model.SidecarProxy && !req.Forced && model.OnlyHasConfigsOfKind(req.ConfigsUpdated, kind.VirtualService) && hasClusters(proxy, w) {
		return nil, nil, model.DefaultXdsLogDetails, true
	}
	defer g.enter()()
	return g.ConfigGenerator.BuildDeltaClusters(proxy, req, w)
}

// hasClusters tells whether the proxy was sent clusters of exactly the services that it sees.
func hasClusters(proxy *model.Proxy, w *model.WatchedResource) bool {
	sent := sets.New[string]()
	for name := range w.ResourceNames {
		if direction, subset, host, _ := model.ParseSubsetKey(name); direction == model.TrafficDirectionOutbound && subset == "" {
			sent.Insert(string(host))
		}
	}
	seen := proxy.SidecarScope.ServicesByHostname()
	for name := range seen {
		if !sent.Contains(string(name)) {
			return false
		}
	}
	return len(sent) == len(seen)
}

// BuildHTTPRoutes implements [core.ConfigGenerator].
func (g *sharing) BuildHTTPRoutes(proxy *model.Proxy, req *model.PushRequest, names []string) ([]*discovery.Resource, model.XdsLogDetails) {
	generate := func() (model.Resources, model.XdsLogDetails) {
		defer g.enter()()
		return g.ConfigGenerator.BuildHTTPRoutes(proxy, req, names)
	}
	if result := g.shared(proxy, req, names, generate); result != nil {
		return result()
	}
	return generate()
}

// shared is where the proxy's routes are, or come to be when they are generated; nil when they are its own.
func (g *sharing) shared(proxy *model.Proxy, req *model.PushRequest, names []string, generate sharedResult) sharedResult {
	kin := g.streams.kin(proxy)
	if kin == "" || proxy.Type != model.SidecarProxy || g.store.selectsIndividuals() {
		return nil
	}
	names = slices.Sorted(slices.Values(names))
	is := sharedRoutes{kin, proxy.SidecarScope, strings.Join(names, "\n")}
	epoch := parseVersion(req.Push.PushVersion).epoch
	g.mu.Lock()
	defer g.mu.Unlock()
	if epoch < g.epoch {
		return nil
	}
	if epoch > g.epoch {
		g.epoch, g.made = epoch, map[sharedRoutes]sharedResult{}
	}
	result := g.made[is]
	if result == nil {
		result = sync.OnceValues(func() (model.Resources, model.XdsLogDetails) {
			resources, details := generate()
			var all model.Resources
			for _, r := range resources {
				all = append(all, versioned(r))
			}
			return all, details
		})
		g.made[is] = result
	}
	return result
}

// kin describes the workload without what makes it an individual: two of the same description, under the same push,
// differ in nothing that routes are made from. It errs on the side of difference.
func (w *Workload) kin() string {
	k := *w
	k.Name, k.Addresses, k.Healthy = "", families(w.Addresses), false
	return fmt.Sprintf("%#v", k) // quoted, maps sorted
}

// families are the addresses without anything but their sort, which decides what names a proxy can be called by.
func families(addresses []string) []string {
	var out []string
	for _, a := range addresses {
		switch address, err := netip.ParseAddr(a); {
		case err != nil:
			out = append(out, a)
		case address.Is4():
			out = append(out, "IPv4")
		default:
			out = append(out, "IPv6")
		}
	}
	return out
}

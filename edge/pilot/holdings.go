package pilot

import (
	"strconv"
	"sync"

	"github.com/cespare/xxhash/v2"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
)

// holdings is what a proxy has, by hash of content: 8 bytes a resource. A resource's version on the wire is
// that hash in hexadecimal, so that a client can say what it has when it comes back to any edge.
type holdings struct {
	mu       sync.Mutex // guards the rest
	has      map[string]map[string]uint64
	answered map[string]bool // types that had a response
	// warming are clusters sent whose endpoints were not: Envoy waits for them even if it had them before
	// (https://github.com/envoyproxy/envoy/issues/13009).
	warming map[string]bool
}

// nothing is the hash of a resource that the proxy was told is not there.
const nothing = 0

func newHoldings() *holdings {
	return &holdings{has: map[string]map[string]uint64{}, answered: map[string]bool{}, warming: map[string]bool{}}
}

// request notes what the client states it has. A resource asked for by name must be sent, unless its version
// is stated in the same breath.
func (h *holdings) request(req *discovery.DeltaDiscoveryRequest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	has := h.of(req.TypeUrl)
	for _, name := range req.ResourceNamesSubscribe {
		delete(has, name)
	}
	for _, name := range req.ResourceNamesUnsubscribe {
		delete(has, name)
	}
	for name, version := range req.InitialResourceVersions {
		hash, err := strconv.ParseUint(version, 16, 64)
		if err == nil && !(req.TypeUrl == v3.EndpointType && h.warming[name]) {
			has[name] = hash
		}
	}
}

// forget says that nobody knows what the proxy has of these resources.
func (h *holdings) forget(typeURL string, names []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range names {
		delete(h.of(typeURL), name)
	}
}

// filter returns the response without what the proxy has; nil when nothing is left to say. The first response
// of a type is sent even when empty: the client learns that what it has is current.
func (h *holdings) filter(resp *discovery.DeltaDiscoveryResponse) *discovery.DeltaDiscoveryResponse {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := &discovery.DeltaDiscoveryResponse{
		SystemVersionInfo: resp.SystemVersionInfo, TypeUrl: resp.TypeUrl, Nonce: resp.Nonce, ControlPlane: resp.ControlPlane,
	}
	has := h.of(resp.TypeUrl)
	for _, r := range resp.Resources {
		if r.Version == "" {
			r = versioned(r)
		}
		hash, _ := strconv.ParseUint(r.Version, 16, 64) // ours
		if known, ok := has[r.Name]; ok && known == hash {
			continue
		}
		has[r.Name] = hash
		h.warm(resp.TypeUrl, r)
		out.Resources = append(out.Resources, r)
	}
	for _, name := range resp.RemovedResources {
		if known, ok := has[name]; !ok || known != nothing {
			has[name] = nothing
			out.RemovedResources = append(out.RemovedResources, name)
		}
	}
	first := !h.answered[resp.TypeUrl]
	h.answered[resp.TypeUrl] = true
	if !first && len(out.Resources)+len(out.RemovedResources) == 0 {
		return nil
	}
	return out
}

// versioned copies a resource, which is Istio's and shared between proxies, and names its content.
func versioned(r *discovery.Resource) *discovery.Resource {
	hash := max(xxhash.Sum64(r.Resource.GetValue()), nothing+1)
	return &discovery.Resource{Name: r.Name, Aliases: r.Aliases, Resource: r.Resource, Version: strconv.FormatUint(hash, 16)}
}

func (h *holdings) warm(typeURL string, r *discovery.Resource) {
	switch {
	case typeURL == v3.ClusterType && usesEDS(r.Resource):
		h.warming[r.Name] = true
		delete(h.of(v3.EndpointType), r.Name)
	case typeURL == v3.EndpointType:
		delete(h.warming, r.Name)
	}
}

func (h *holdings) of(typeURL string) map[string]uint64 {
	has := h.has[typeURL]
	if has == nil {
		has = map[string]uint64{}
		h.has[typeURL] = has
	}
	return has
}

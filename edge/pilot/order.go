package pilot

import (
	"slices"
	"sync"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
)

// warmPatience is how long routes wait for the endpoints of new clusters. A proxy asks for them at once;
// one that does not shall not be cut off from what else changes.
const warmPatience = 5 * time.Second

// order puts what is sent to a proxy into the sequence that it can follow without a gap, make before break. Envoy
// knows a new cluster only when it has its endpoints, which it asks for when it has the cluster; a route that names
// the cluster before answers 503. So listeners and routes wait until the endpoints of new clusters are
// acknowledged, and clusters are taken away when the routes of the same push are on their way.
//
// Its methods may be called from any goroutine.
type order struct {
	send func(*discovery.DeltaDiscoveryResponse)
	late func() // called when patience ends

	mu       sync.Mutex // guards the rest
	clusters map[string]bool
	cold     map[string]bool // clusters sent for the first time whose endpoints are not acknowledged
	held     []*discovery.DeltaDiscoveryResponse
	leaving  []*discovery.DeltaDiscoveryResponse // clusters to be taken away at the end of the push
	patience *time.Timer
	ended    bool
}

func newOrder(send func(*discovery.DeltaDiscoveryResponse), late func()) *order {
	return &order{send: send, late: late, clusters: map[string]bool{}, cold: map[string]bool{}}
}

// knows notes clusters the proxy stated to have: their routes need not wait.
func (o *order) knows(req *discovery.DeltaDiscoveryRequest) {
	if req.TypeUrl != v3.ClusterType {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for name := range req.InitialResourceVersions {
		o.clusters[name] = true
	}
}

// add sends a response when its turn has come.
func (o *order) add(resp *discovery.DeltaDiscoveryResponse) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case resp.TypeUrl == v3.ClusterType:
		o.arrive(resp.Resources)
		o.send(resp)
	case o.waits(resp.TypeUrl):
		o.hold(resp)
	default:
		o.send(resp)
	}
}

// waits tells whether a type has to wait now. Caller holds mu.
func (o *order) waits(typeURL string) bool {
	if typeURL != v3.ListenerType && typeURL != v3.RouteType {
		return false
	}
	return len(o.cold)+len(o.held) > 0 && !o.ended
}

// arrive notes clusters about to be sent. Caller holds mu.
func (o *order) arrive(clusters []*discovery.Resource) {
	for _, r := range clusters {
		if !o.clusters[r.Name] && usesEDS(r.Resource) {
			o.cold[r.Name] = true
		}
		o.clusters[r.Name] = true
		o.stay(r.Name)
	}
}

// stay takes a cluster that is back off what is to be taken away. Caller holds mu.
func (o *order) stay(name string) {
	for _, resp := range slices.Concat(o.held, o.leaving) {
		if resp.TypeUrl == v3.ClusterType {
			resp.RemovedResources = slices.DeleteFunc(resp.RemovedResources, func(gone string) bool { return gone == name })
		}
	}
}

// leave takes clusters away at the end of the push.
func (o *order) leave(resp *discovery.DeltaDiscoveryResponse) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, name := range resp.RemovedResources {
		delete(o.clusters, name)
	}
	o.leaving = append(o.leaving, resp)
}

// pushed says that everything of a push was added.
func (o *order) pushed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, resp := range o.leaving {
		if len(o.held) > 0 {
			o.held = append(o.held, resp)
		} else {
			o.chill(resp)
		}
	}
	o.leaving = nil
}

// chill sends a response; clusters it takes away warm no more. Caller holds mu.
func (o *order) chill(resp *discovery.DeltaDiscoveryResponse) {
	if resp.TypeUrl == v3.ClusterType {
		for _, name := range resp.RemovedResources {
			delete(o.cold, name)
		}
	}
	o.send(resp)
}

// answered notes that the proxy answered a letter. Endpoints it has warm their clusters; what it
// rejected, it does not ask anything for.
func (o *order) answered(e letter, rejected bool) {
	if e.typeURL != v3.EndpointType && !(rejected && e.typeURL == v3.ClusterType) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, name := range e.names {
		delete(o.cold, name)
	}
	if len(o.cold) == 0 {
		o.release()
	}
}

// hold keeps a response back. Caller holds mu.
func (o *order) hold(resp *discovery.DeltaDiscoveryResponse) {
	o.held = append(o.held, resp)
	if o.patience == nil {
		o.patience = time.AfterFunc(warmPatience, o.lose)
	}
}

// lose lets go of everything because the proxy does not ask.
func (o *order) lose() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended || len(o.held) == 0 {
		return
	}
	clear(o.cold)
	o.release()
	o.late()
}

// release sends what was held. Caller holds mu.
func (o *order) release() {
	if o.patience != nil {
		o.patience.Stop()
		o.patience = nil
	}
	held := o.held
	o.held = nil
	for _, resp := range held {
		o.chill(resp)
	}
}

// end forgets what is held: the stream is over.
func (o *order) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended, o.held, o.leaving = true, nil, nil
	if o.patience != nil {
		o.patience.Stop()
	}
}

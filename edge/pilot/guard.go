package pilot

import (
	"fmt"
	"runtime/debug"

	"istio.io/istio/pilot/pkg/model"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
)

// guard stands before a generator of Istio's. A panic in one would end the edge, and again after every restart, for
// the object that caused it is still there. Here it costs one proxy one response: the proxy keeps what it has, and what
// Istio said is dealt with as if the proxy had rejected the response.
type guard struct {
	model.XdsResourceGenerator
	typeURL string
	pilot   *Pilot
}

// guarded puts guards before all generators.
func (p *Pilot) guarded(generators map[string]model.XdsResourceGenerator) map[string]model.XdsResourceGenerator {
	out := map[string]model.XdsResourceGenerator{}
	for typeURL, g := range generators {
		one := guard{g, typeURL, p}
		out[typeURL] = one
		if delta, ok := g.(model.XdsDeltaResourceGenerator); ok {
			out[typeURL] = deltaGuard{one, delta}
		}
	}
	return out
}

// Generate implements [model.XdsResourceGenerator].
func (g guard) Generate(proxy *model.Proxy, w *model.WatchedResource, req *model.PushRequest) (r model.Resources, d model.XdsLogDetails, err error) {
	defer g.catch(proxy, req, func() { r, d, err = nil, model.DefaultXdsLogDetails, nil })
	return g.XdsResourceGenerator.Generate(proxy, w, req)
}

// deltaGuard is a guard before a generator of differences.
type deltaGuard struct {
	guard
	delta model.XdsDeltaResourceGenerator
}

// GenerateDeltas implements [model.XdsDeltaResourceGenerator].
func (g deltaGuard) GenerateDeltas(proxy *model.Proxy, req *model.PushRequest, w *model.WatchedResource) (
	r model.Resources, gone model.DeletedResources, d model.XdsLogDetails, used bool, err error,
) {
	defer g.catch(proxy, req, func() { r, gone, d, used, err = nil, nil, model.DefaultXdsLogDetails, true, nil })
	return g.delta.GenerateDeltas(proxy, req, w)
}

// catch is deferred: it ends a panic, and makes the results say that there is nothing to send.
func (g guard) catch(proxy *model.Proxy, req *model.PushRequest, sayNothing func()) {
	if panicked := recover(); panicked != nil {
		sayNothing()
		g.pilot.stumbled(proxy, g.typeURL, req, panicked)
		return
	}
	g.pilot.generated(proxy, g.typeURL, req)
}

// stumbled takes in that a generator panicked.
func (p *Pilot) stumbled(proxy *model.Proxy, typeURL string, req *model.PushRequest, panicked any) {
	st := p.streams.of(proxy)
	if st == nil {
		return
	}
	what := v3.GetShortType(typeURL)
	p.log.Error("Istio panicked", "proxy", st.name, "type", what, "panic", panicked, "stack", string(debug.Stack()))
	p.trouble.add(trouble{
		stream: st, letter: st.ledger.stumble(typeURL, parseVersion(req.Push.PushVersion)),
		message: fmt.Sprintf("Istio cannot make configuration (%s) of it, by a fault of its own: %v", what, panicked),
	})
}

// generated takes in that one did not.
func (p *Pilot) generated(proxy *model.Proxy, typeURL string, req *model.PushRequest) {
	if !whole(req) {
		return
	}
	if st := p.streams.of(proxy); st != nil {
		st.ledger.made(typeURL, parseVersion(req.Push.PushVersion))
	}
}

// whole tells whether a push is of everything that the proxy has.
func whole(req *model.PushRequest) bool { return req.Forced && req.Delta.IsEmpty() }

// again is the request for a proxy for which something could not be made: nobody knows what of the changes since is
// missing, so everything is made anew.
func again(req *model.PushRequest) *model.PushRequest {
	all := *req
	all.Forced, all.ConfigsUpdated = true, nil
	return &all
}

package pilot

import (
	"fmt"
	"runtime/debug"

	"istio.io/istio/pilot/pkg/model"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
)

// guard stands before a generator of Istio's. A panic in one would end the edge, and again after every restart, for
// the object that caused it is still there. Here it costs one proxy one push: the proxy keeps what it has, and what
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
	d = model.DefaultXdsLogDetails
	g.attempt(proxy, req, func() { r, d, err = g.XdsResourceGenerator.Generate(proxy, w, req) })
	return r, d, err
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
	d, used = model.DefaultXdsLogDetails, true
	g.attempt(proxy, req, func() { r, gone, d, used, err = g.delta.GenerateDeltas(proxy, req, w) })
	return r, gone, d, used, err
}

// attempt generates, unless something else of the push could not be made: routes without their clusters lead nowhere.
// What a proxy asks for by itself is made all the same.
func (g guard) attempt(proxy *model.Proxy, req *model.PushRequest, generate func()) {
	st, v := g.pilot.streams.of(proxy), parseVersion(req.Push.PushVersion)
	push := st != nil && req.Delta.IsEmpty() // no answer, and not to a proxy that is gone
	if push && st.ledger.withhold(g.typeURL, v) {
		return
	}
	defer func() {
		if panicked := recover(); panicked != nil {
			g.pilot.stumbled(st, proxy, g.typeURL, v, panicked)
		}
	}()
	generate()
	if push && req.Forced { // and so of everything
		st.ledger.made(g.typeURL, v)
	}
}

// stumbled takes in that a generator panicked.
func (p *Pilot) stumbled(st *stream, proxy *model.Proxy, typeURL string, v version, panicked any) {
	what := v3.GetShortType(typeURL)
	p.log.Error("Istio panicked", "proxy", proxy.ID, "type", what, "panic", panicked, "stack", string(debug.Stack()))
	if st == nil {
		return
	}
	p.trouble.add(trouble{
		stream: st, letter: st.ledger.stumble(typeURL, v),
		message: fmt.Sprintf("Istio cannot make configuration (%s) of it, by a fault of its own: %v", what, panicked),
	})
}

// again is the request for a proxy for which something could not be made: nobody knows what of the changes since is
// missing, so everything is made anew.
func again(req *model.PushRequest) *model.PushRequest {
	all := *req
	all.Forced, all.ConfigsUpdated = true, nil
	return &all
}

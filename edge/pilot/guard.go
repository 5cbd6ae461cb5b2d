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
	st := g.pilot.streams.of(proxy)
	if st.withholds(g.typeURL, req) {
		return nil, model.DefaultXdsLogDetails, nil
	}
	defer func() {
		if panicked := recover(); panicked != nil {
			r, d, err = nil, model.DefaultXdsLogDetails, nil
			g.pilot.stumbled(st, proxy, g.typeURL, req, panicked)
		}
	}()
	r, d, err = g.XdsResourceGenerator.Generate(proxy, w, req)
	st.made(g.typeURL, req)
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
	st := g.pilot.streams.of(proxy)
	if st.withholds(g.typeURL, req) {
		return nil, nil, model.DefaultXdsLogDetails, true, nil
	}
	defer func() {
		if panicked := recover(); panicked != nil {
			r, gone, d, used, err = nil, nil, model.DefaultXdsLogDetails, true, nil
			g.pilot.stumbled(st, proxy, g.typeURL, req, panicked)
		}
	}()
	r, gone, d, used, err = g.delta.GenerateDeltas(proxy, req, w)
	st.made(g.typeURL, req)
	return r, gone, d, used, err
}

// withholds tells whether a response must not be made because one of the same push could not be: routes without their
// clusters lead nowhere. What a proxy asks for by itself is made. A nil stream is one that is gone.
func (st *stream) withholds(typeURL string, req *model.PushRequest) bool {
	return st != nil && req.Delta.IsEmpty() && st.ledger.withhold(typeURL, parseVersion(req.Push.PushVersion))
}

// made takes in that a generator went well.
func (st *stream) made(typeURL string, req *model.PushRequest) {
	if whole := req.Forced && req.Delta.IsEmpty(); st != nil && whole {
		st.ledger.made(typeURL, parseVersion(req.Push.PushVersion))
	}
}

// stumbled takes in that a generator panicked.
func (p *Pilot) stumbled(st *stream, proxy *model.Proxy, typeURL string, req *model.PushRequest, panicked any) {
	what := v3.GetShortType(typeURL)
	p.log.Error("Istio panicked", "proxy", proxy.ID, "type", what, "panic", panicked, "stack", string(debug.Stack()))
	if st == nil {
		return
	}
	p.trouble.add(trouble{
		stream: st, letter: st.ledger.stumble(typeURL, parseVersion(req.Push.PushVersion)),
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

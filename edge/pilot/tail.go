package pilot

import (
	"sync/atomic"
	"time"

	"istio.io/istio/pilot/pkg/model"
)

// tailType is a type no client asks for. Every stream is made to watch it, and it comes last in a push: when
// its turn comes, all of the push has been sent.
const tailType = "type.isthmus.dev/tail"

// tail is the generator of tailType; it generates nothing.
type tail struct {
	streams *streams
	current *atomic.Pointer[activation]
}

// activation is a push context and since when it is the one that new proxies get.
type activation struct {
	push *model.PushContext
	at   time.Time
}

// Generate implements [model.XdsResourceGenerator]. The first call of a stream comes before anything is generated
// for it. It dates the proxy's configuration, which Istio forgets for a new proxy: what is generated without a
// date is not cached, and a crowd of proxies that come back after a restart would share nothing.
func (t tail) Generate(proxy *model.Proxy, _ *model.WatchedResource, req *model.PushRequest) (model.Resources, model.XdsLogDetails, error) {
	if now := t.current.Load(); proxy.LastPushTime.IsZero() && now != nil && now.push == req.Push {
		proxy.LastPushTime = now.at
	}
	t.streams.sent(proxy, req)
	return nil, model.DefaultXdsLogDetails, nil
}

package pilot

import (
	"istio.io/istio/pilot/pkg/model"
)

// tailType is a type no client asks for. Every stream is made to watch it, and it comes last in a push: when
// its turn comes, all of the push has been sent.
const tailType = "type.isthmus.dev/tail"

// tail is the generator of tailType; it generates nothing.
type tail struct{ streams *streams }

// Generate implements [model.XdsResourceGenerator].
func (t tail) Generate(proxy *model.Proxy, _ *model.WatchedResource, req *model.PushRequest) (model.Resources, model.XdsLogDetails, error) {
	t.streams.sent(proxy, req)
	return nil, model.DefaultXdsLogDetails, nil
}

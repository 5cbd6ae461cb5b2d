package pilot

import (
	"context"
	"sync"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// maxBacklog is how many bytes may wait for a proxy. One that reads nothing gets no more, and begins anew.
const maxBacklog = 16 << 20

// outgoing are the responses on their way to one proxy. Istio generates for a few proxies at a time; it must never
// wait until one of them reads.
type outgoing struct {
	queue *queue[*discovery.DeltaDiscoveryResponse]

	mu      sync.Mutex // guards backlog
	backlog int
}

func newOutgoing() *outgoing {
	return &outgoing{queue: newQueue[*discovery.DeltaDiscoveryResponse]()}
}

// add returns false when too much waits already.
func (o *outgoing) add(resp *discovery.DeltaDiscoveryResponse) bool {
	o.mu.Lock()
	o.backlog += weight(resp)
	fits := o.backlog <= maxBacklog
	o.mu.Unlock()
	if fits {
		o.queue.add(resp)
	}
	return fits
}

// run sends until the context ends or the proxy is gone.
func (o *outgoing) run(ctx context.Context, send func(*discovery.DeltaDiscoveryResponse) error) {
	for {
		waiting := o.queue.take(ctx)
		if waiting == nil {
			return
		}
		for _, resp := range waiting {
			if send(resp) != nil {
				return
			}
			o.mu.Lock()
			o.backlog -= weight(resp)
			o.mu.Unlock()
		}
	}
}

// weight is about the size of a response.
func weight(resp *discovery.DeltaDiscoveryResponse) int {
	n := 64
	for _, r := range resp.Resources {
		n += len(r.GetResource().GetValue())
	}
	return n
}

package pilot

import (
	"context"
	"time"
)

// waitTick is how often the proxies' acknowledgements are looked at while somebody waits for them.
const waitTick = 2 * time.Millisecond

// WaitAcknowledged returns when every connected proxy has acknowledged everything pushed before the
// call, or ctx's error when that ends first.
func (p *Pilot) WaitAcknowledged(ctx context.Context) error {
	p.mu.Lock()
	epoch := p.epoch
	p.mu.Unlock()
	tick := time.NewTicker(waitTick)
	defer tick.Stop()
	for p.behind(epoch) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// behind tells whether a proxy has not acknowledged an epoch.
func (p *Pilot) behind(epoch uint64) bool {
	for _, at := range p.streams.slowest() {
		if at < epoch {
			return true
		}
	}
	return false
}

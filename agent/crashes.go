package agent

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// crashMemory is how long after Envoy ended by itself that is told of a workload that serves again.
const crashMemory = 10 * time.Minute

// crashes remember that Envoy ended by itself: it is mostly back before anybody looks.
type crashes struct {
	now  func() time.Time
	over *time.Timer // fires when the last one is long ago

	mu    sync.Mutex // guards the rest
	seen  int        // of the proxy there is
	count int        // of all since the agent started
	last  time.Time
}

func newCrashes(now func() time.Time) *crashes {
	c := &crashes{now: now, over: time.NewTimer(crashMemory)}
	c.over.Stop()
	return c
}

// note takes how often a proxy ended so far, and reports whether that is news.
func (c *crashes) note(ends int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := ends - c.seen
	c.seen = ends
	if fresh <= 0 { // nothing, or another proxy that begins to count
		return false
	}
	c.count, c.last = c.count+fresh, c.now()
	c.over.Reset(crashMemory)
	return true
}

// words say how often and when; empty for never.
func (c *crashes) words() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.last.UTC().Format(time.RFC3339)
	switch c.count {
	case 0:
		return ""
	case 1:
		return "Envoy ended by itself once, at " + last
	}
	return fmt.Sprintf("Envoy ended by itself %d times, last at %s", c.count, last)
}

// forgetCrashes stops telling the edge of crashes that are long ago, until ctx ends.
func (a *agent) forgetCrashes(ctx context.Context) error {
	defer a.crashes.over.Stop()
	for {
		select {
		case <-a.crashes.over.C:
			a.health.setRemark("")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

package meshtest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Answer is what a service of the sample shop says (examples/shop).
type Answer struct {
	Service, Version, Host, Caller, Remote, Path, Error string

	Headers http.Header
	Calls   map[string]*Answer
}

// Tally counts the answers to a load. All methods may be called while the load runs.
type Tally struct {
	mu       sync.Mutex
	begun    int
	statuses map[int]int
	failures map[string]int // what went wrong, and how often
	who      map[string]int // "service/version" and "service@host"
	callers  map[string]map[string]bool
	took     []time.Duration // of every answer
	lastLost time.Time
	timeline timeline
}

func newTally() *Tally {
	return &Tally{statuses: map[int]int{}, failures: map[string]int{}, who: map[string]int{}, callers: map[string]map[string]bool{}, timeline: timeline{began: time.Now()}}
}

func (c *Tally) sent() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun++
}

func (c *Tally) lost(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(err.Error())
}

// fail counts a failed request. Caller holds mu.
func (c *Tally) fail(what string) {
	c.failures[what]++
	c.lastLost = time.Now()
	c.timeline.now().lost++
}

func (c *Tally) answered(status int, answer *Answer, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took = append(c.took, took)
	c.statuses[status]++
	if status >= 500 {
		c.fail(fmt.Sprintf("%d %s", status, whatFailed(answer)))
	}
	c.count(answer)
}

func (c *Tally) count(answer *Answer) {
	if answer.Service == "" {
		return
	}
	c.who[answer.Service+"/"+answer.Version]++
	c.timeline.now().who[answer.Service+"/"+answer.Version]++
	c.who[answer.Service+"@"+answer.Host]++
	if c.callers[answer.Service] == nil {
		c.callers[answer.Service] = map[string]bool{}
	}
	c.callers[answer.Service][answer.Caller] = true
	for _, call := range answer.Calls {
		c.count(call)
	}
}

// whatFailed goes down to the service that failed by itself.
func whatFailed(answer *Answer) string {
	for name, call := range answer.Calls {
		if call.Error != "" {
			return name + ": " + whatFailed(call)
		}
	}
	return strings.TrimSpace(answer.Error)
}

// Sent is how many requests were begun.
func (c *Tally) Sent() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begun
}

// Status is how many answers had a status.
func (c *Tally) Status(status int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.statuses[status]
}

// Took are the times that answers took, shortest first.
func (c *Tally) Took() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(slices.Values(c.took))
}

// Failed is how many requests had no answer, or one with a status of 500 or more.
func (c *Tally) Failed() (sum int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, count := range c.failures {
		sum += count
	}
	return sum
}

// LastLost is when a request failed last; zero when none did.
func (c *Tally) LastLost() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastLost
}

// ByVersion is how often a version of a service took part.
func (c *Tally) ByVersion(service, version string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.who[service+"/"+version]
}

// ByHost is how often an instance of a service took part.
func (c *Tally) ByHost(service, host string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.who[service+"@"+host]
}

// Callers are the identities a service saw, ordered; "" stands for none.
func (c *Tally) Callers(service string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.callers[service]))
}

// Note puts what happens now into the timeline.
func (c *Tally) Note(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	second := c.timeline.now()
	second.notes = append(second.notes, what)
}

// Timeline is a table of who answered for a service, by version and second since the load began, with what was lost
// and noted then.
func (c *Tally) Timeline(service string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.timeline.table(service)
}

// GoesOn waits until the load has sent some more.
func (c *Tally) GoesOn(t testing.TB, more int) {
	t.Helper()
	goal := c.Sent() + more
	Eventually(t, "the load goes on", func() error {
		if sent := c.Sent(); sent < goal {
			return fmt.Errorf("%d of %d sent", sent, goal)
		}
		return nil
	})
}

// MustLoseNothing fails the test if any request was lost, or none was sent.
func (c *Tally) MustLoseNothing(t testing.TB) {
	t.Helper()
	if failed, sent := c.Failed(), c.Sent(); failed > 0 || sent == 0 {
		t.Errorf("%d of %d requests failed; want none of some\n%s", failed, sent, c)
	}
}

// MustShare fails the test unless a version's share of the answers that a service gave is within
// tolerance of want; all are between 0 and 1.
func (c *Tally) MustShare(t testing.TB, service, version string, want, tolerance float64) {
	t.Helper()
	all := 0
	c.mu.Lock()
	for who, count := range c.who {
		if strings.HasPrefix(who, service+"/") {
			all += count
		}
	}
	c.mu.Unlock()
	got := float64(c.ByVersion(service, version)) / max(1, float64(all))
	if all == 0 || got < want-tolerance || got > want+tolerance {
		t.Errorf("%s %s answered %.1f %% of %d requests, want %.1f ± %.1f %%\n%s", service, version, got*100, all, want*100, tolerance*100, c)
	}
}

// Failures are what went wrong, in words, each once.
func (c *Tally) Failures() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.failures))
}

// String is the whole count, for the message of a failure.
func (c *Tally) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := fmt.Sprintf("%d sent, by status %v, by who answered %v", c.begun, c.statuses, c.who)
	for _, failure := range slices.Sorted(maps.Keys(c.failures)) {
		text += fmt.Sprintf("\n%6d × %s", c.failures[failure], failure)
	}
	return text
}

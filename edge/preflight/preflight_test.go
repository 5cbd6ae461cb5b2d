package preflight_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/isthmus-mesh/isthmus/api/problem"
	. "github.com/isthmus-mesh/isthmus/edge/internal/zonetest"
	"github.com/isthmus-mesh/isthmus/edge/preflight"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is paths whose addresses fail as the test says.
type world struct {
	*preflight.Paths
	again chan time.Time

	mu      sync.Mutex
	fails   map[string]error
	blocked map[string]*problem.Error
}

func newWorld(t *testing.T) *world {
	w := &world{again: make(chan time.Time), fails: map[string]error{}, blocked: map[string]*problem.Error{}}
	w.Paths = preflight.New(preflight.Config{Zone: "dc1", Dial: w.dial, Blocked: w.tell})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.Run(ctx, w.again) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return w
}

func (w *world) dial(_ context.Context, _, address string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.fails[address]; err != nil {
		return nil, &net.OpError{Op: "dial", Err: err}
	}
	here, there := net.Pipe()
	return here, there.Close()
}

func (w *world) tell(address string, err *problem.Error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.blocked[address] = err
}

func (w *world) fail(address string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fails[address] = err
}

// says tells whether a way was tried and what was said of it contains the words, or is nothing for none.
func (w *world) says(address, words string) func() bool {
	return func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		err, told := w.blocked[address]
		if words == "" {
			return told && err == nil
		}
		return err != nil && strings.Contains(err.Error(), words)
	}
}

func to(zone string, addresses ...string) *feedpb.Path {
	return &feedpb.Path{Zone: zone, Addresses: addresses}
}

func TestEveryFailureIsToldApart(t *testing.T) {
	w := newWorld(t)
	const open, dropped, refused, nameless, odd = "10.0.1.1:15443", "10.0.1.2:15443", "10.0.1.3:15443", "gw.example:443", "10.0.1.4:1"
	w.fail(dropped, context.DeadlineExceeded)
	w.fail(refused, syscall.ECONNREFUSED)
	w.fail(nameless, &net.DNSError{Name: "gw.example", IsNotFound: true})
	w.fail(odd, syscall.ENETUNREACH)
	w.Set([]*feedpb.Path{to("dc2", open, dropped, refused), to("prod-1", nameless, odd)})
	Eventually(t, "an open way", w.says(open, ""))
	Eventually(t, "a silent way", w.says(dropped, "from zone dc1 to zone dc2 at 10.0.1.2:15443: no answer: a firewall rule is probably missing; allow TCP from zone dc1 to 10.0.1.2 port 15443"))
	Eventually(t, "a refusal", w.says(refused, "the gateway does not run"))
	Eventually(t, "an unknown name", w.says(nameless, "the name gw.example is not known here"))
	Eventually(t, "anything else", w.says(odd, "network is unreachable"))
}

func TestWaysAreTriedAgain(t *testing.T) {
	w := newWorld(t)
	const address = "10.0.1.1:15443"
	w.fail(address, context.DeadlineExceeded)
	w.Set([]*feedpb.Path{to("dc2", address)})
	Eventually(t, "blocked", w.says(address, "no answer"))
	w.fail(address, nil)
	w.again <- time.Time{}
	Eventually(t, "open", w.says(address, ""))
	w.fail(address, syscall.ECONNREFUSED)
	for range 15 { // an open way is tried more rarely
		w.again <- time.Time{}
	}
	Eventually(t, "blocked again", w.says(address, "refused"))
	w.Set(nil)
	Eventually(t, "no way any more", w.says(address, ""))
}

package pilot

import (
	"slices"
	"strings"
	"sync"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
)

// ledger keeps what was sent to a proxy and what of it was acknowledged.
//
// A version is acknowledged when it was sent as a whole, everything sent of it and before is answered, nothing
// rejected is left, and the proxy has every route and all endpoints that its listeners and clusters name: it
// would serve half otherwise.
type ledger struct {
	// tell is called, without mu, after each answer: the newest version acknowledged, and whether it is new.
	tell func(v version, advanced bool)

	mu     sync.Mutex // guards the rest
	open   []letter   // unanswered, oldest first
	marks  []version  // sent as a whole, oldest first
	newest version    // acknowledged
	failed map[string]failure
	acked  map[string]bool     // types
	routes map[string]bool     // generated since the proxy asked for them
	wanted map[string][]string // by listener
	cold   map[string]bool     // clusters sent whose endpoints were not
}

// letter is a response on its way.
type letter struct {
	nonce   string
	typeURL string
	names   []string // sent and removed
	version version
}

// failure is what the proxy rejected of a type. It is put right by the epoch in which all its resources were sent anew
// and accepted, or by one that takes them back, and ends when the proxy has all of a version of that epoch: the
// versions before hold what was rejected, and are never acknowledged.
type failure struct {
	names   []string
	epoch   uint64 // the newest rejected
	righted uint64 // 0 while nothing has put it right
	unmade  bool   // it could not be made for the proxy: only everything of the type, made anew, puts it right
}

func newLedger(tell func(version, bool)) *ledger {
	return &ledger{
		tell: tell, failed: map[string]failure{}, acked: map[string]bool{},
		routes: map[string]bool{}, wanted: map[string][]string{}, cold: map[string]bool{},
	}
}

// acknowledged is the newest version that the proxy has.
func (l *ledger) acknowledged() version {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newest
}

// send enters what was generated, and what of it is sent to a proxy that has the rest; sent may be nil. It must come
// before the proxy can answer.
func (l *ledger) send(generated, sent *discovery.DeltaDiscoveryResponse) {
	l.mu.Lock()
	l.expect(generated, sent)
	if sent != nil {
		e := letter{nonce: sent.Nonce, typeURL: sent.TypeUrl, version: parseVersion(generated.SystemVersionInfo)}
		for _, r := range sent.Resources {
			e.names = append(e.names, r.Name)
		}
		e.names = append(e.names, sent.RemovedResources...)
		l.open = append(l.open, e)
	}
	l.unlockAndTell()
}

// expect enters what a response makes the proxy ask for next, and what it answers: routes for listeners, endpoints
// for clusters.
func (l *ledger) expect(generated, sent *discovery.DeltaDiscoveryResponse) {
	switch generated.TypeUrl {
	case v3.ListenerType:
		l.expectRoutes(generated, sent)
	case v3.RouteType:
		for _, r := range generated.Resources {
			l.routes[r.Name] = true
		}
	case v3.ClusterType:
		for _, r := range sent.GetResources() {
			if usesEDS(r.Resource) {
				l.cold[r.Name] = true
			}
		}
		for _, name := range generated.RemovedResources {
			delete(l.cold, name)
		}
	case v3.EndpointType:
		for _, r := range generated.Resources {
			delete(l.cold, r.Name)
		}
	}
}

// expectRoutes heeds the listeners sent, and those not seen before because the proxy had them when it came.
func (l *ledger) expectRoutes(generated, sent *discovery.DeltaDiscoveryResponse) {
	for _, r := range generated.Resources {
		if _, seen := l.wanted[r.Name]; !seen {
			l.wanted[r.Name] = routesOf(r.Resource)
		}
	}
	for _, r := range sent.GetResources() {
		l.wanted[r.Name] = routesOf(r.Resource)
	}
	for _, name := range generated.RemovedResources {
		delete(l.wanted, name)
	}
}

// mark enters that everything of the version has been sent.
func (l *ledger) mark(v version) {
	l.mu.Lock()
	l.marks = append(l.marks, v)
	l.unlockAndTell()
}

// ack enters that the proxy applied a response, and returns it; false when it is not known.
func (l *ledger) ack(nonce string) (letter, bool) {
	l.mu.Lock()
	e, ok := l.close(nonce)
	if ok {
		l.acked[e.typeURL] = true
		l.repair(e)
	}
	l.unlockAndTell()
	return e, ok
}

// repair takes what was applied off the failure of its type.
func (l *ledger) repair(e letter) {
	f, ok := l.failed[e.typeURL]
	if !ok || f.unmade {
		return
	}
	f.names = slices.DeleteFunc(f.names, func(n string) bool { return slices.Contains(e.names, n) })
	if len(f.names) == 0 {
		f.right(e.version.epoch)
	}
	l.failed[e.typeURL] = f
}

// right says that the epoch puts the failure right, unless an older one did.
func (f *failure) right(epoch uint64) {
	if f.righted == 0 || epoch < f.righted {
		f.righted = epoch
	}
}

// nack enters that the proxy refused a response, and returns it; false when it is not known.
func (l *ledger) nack(nonce, message string) (letter, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.close(nonce)
	if !ok {
		return letter{}, false
	}
	l.acked[e.typeURL] = true
	for _, name := range e.names {
		delete(l.cold, name) // what was rejected asks for nothing
	}
	f := l.failed[e.typeURL]
	if f.righted != 0 && f.righted <= e.version.epoch {
		f = failure{} // this is another one
	}
	l.failed[e.typeURL] = failure{
		names: append(f.names, named(e.names, message)...),
		epoch: max(f.epoch, e.version.epoch), unmade: f.unmade,
	}
	return e, true
}

// right says that the epoch takes back what the proxy rejected before it. It counts as soon as the epoch has nothing
// unanswered.
func (l *ledger) right(epoch uint64) {
	l.mu.Lock()
	for t, f := range l.failed {
		if f.epoch < epoch && !f.unmade {
			f.right(epoch)
			l.failed[t] = f
		}
	}
	l.unlockAndTell()
}

func (l *ledger) close(nonce string) (letter, bool) {
	i := slices.IndexFunc(l.open, func(e letter) bool { return e.nonce == nonce })
	if i < 0 {
		return letter{}, false
	}
	e := l.open[i]
	l.open = slices.Delete(l.open, i, i+1)
	return e, true
}

// unlockAndTell advances the newest version as far as it goes, unlocks mu and tells.
func (l *ledger) unlockAndTell() {
	before := l.newest
	for i := len(l.marks) - 1; i >= 0; i-- {
		if v := l.marks[i]; l.passes(v) {
			l.newest = v
			l.marks = l.marks[i+1:]
			clear(l.failed)
			break
		}
	}
	now := l.newest
	l.mu.Unlock()
	l.tell(now, now != before)
}

func (l *ledger) passes(v version) bool {
	if !l.acked[v3.ClusterType] || !l.acked[v3.ListenerType] || len(l.cold) > 0 || !l.hasRoutes() {
		return false
	}
	for _, e := range l.open { // what the proxy asks for later belongs to the version of its time
		if e.version.epoch <= v.epoch {
			return false
		}
	}
	for _, f := range l.failed {
		if f.righted == 0 || v.epoch < f.righted {
			return false
		}
	}
	return true
}

func (l *ledger) hasRoutes() bool {
	for _, names := range l.wanted {
		for _, name := range names {
			if !l.routes[name] {
				return false
			}
		}
	}
	return true
}

// named are the resources that a rejection names; all of them when it names none.
func named(names []string, message string) []string {
	var out []string
	for _, n := range names {
		if n != "" && strings.Contains(message, n) {
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		return slices.Clone(names)
	}
	return out
}

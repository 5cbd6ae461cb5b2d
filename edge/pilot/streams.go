package pilot

import (
	"maps"
	"sync"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/codes"
	"istio.io/istio/pilot/pkg/model"
)

// streams are the proxies connected now. A proxy may have two for a moment, when it reconnects before its
// old connection is known to be dead.
type streams struct {
	mu     sync.RWMutex // guards the rest
	byNode map[*corev3.Node]*stream
	byName map[string]map[*stream]bool // by workload
	denied map[codes.Code]int
}

func newStreams() *streams {
	return &streams{byNode: map[*corev3.Node]*stream{}, byName: map[string]map[*stream]bool{}, denied: map[codes.Code]int{}}
}

// refused counts a stream that was not admitted.
func (s *streams) refused(code codes.Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied[code]++
}

func (s *streams) add(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byNode[st.node] = st
	if s.byName[st.name] == nil {
		s.byName[st.name] = map[*stream]bool{}
	}
	s.byName[st.name][st] = true
}

// remove tells whether the proxy has no stream any more.
func (s *streams) remove(st *stream) (gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byNode, st.node)
	delete(s.byName[st.name], st)
	if len(s.byName[st.name]) == 0 {
		delete(s.byName, st.name)
		return true
	}
	return false
}

// sent notes that all of the push is on its way to the proxy.
func (s *streams) sent(proxy *model.Proxy, req *model.PushRequest) {
	if st := s.of(proxy); st != nil {
		st.order.pushed()
		st.ledger.mark(parseVersion(req.Push.PushVersion))
	}
}

// of is Istio's proxy as a stream; nil when it is gone.
func (s *streams) of(proxy *model.Proxy) *stream {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byNode[proxy.XdsNode] // the very node we gave to Istio
}

// kin is the description of the proxy's workload; empty when the proxy is gone.
func (s *streams) kin(proxy *model.Proxy) string {
	if st := s.of(proxy); st != nil {
		return st.kin
	}
	return ""
}

// refusals is how many streams were refused so far, by code.
func (s *streams) refusals() map[codes.Code]int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return maps.Clone(s.denied)
}

// close ends the streams of a workload; its agent comes back at once.
func (s *streams) close(name, reason string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for st := range s.byName[name] {
		st.end(reason)
	}
}

func (s *streams) closeAll(reason string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, st := range s.byNode {
		st.end(reason)
	}
}

func (s *streams) receipts() map[string]int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make(map[string]int64, len(s.byName))
	for name, sts := range s.byName {
		for st := range sts {
			st.telling.Lock()
			out[name] = max(out[name], st.told)
			st.telling.Unlock()
		}
	}
	return out
}

// forgetReceipts makes the proxies' acknowledgements after the epoch receipts whatever came before.
func (s *streams) forgetReceipts(epoch uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, st := range s.byNode {
		st.telling.Lock()
		st.told, st.forgotten = 0, epoch
		st.telling.Unlock()
	}
}

// slowest is the oldest epoch that a proxy of the role is at. Proxies that have acknowledged nothing yet say nothing;
// roles without others are not in it.
func (s *streams) slowest() map[Role]uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := map[Role]uint64{}
	for _, st := range s.byNode {
		at := st.ledger.acknowledged().epoch
		if oldest, ok := out[st.class.role]; at > 0 && (!ok || at < oldest) {
			out[st.class.role] = at
		}
	}
	return out
}

// like returns another stream of the same class; nil when there is none.
func (s *streams) like(gone *stream) *stream {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, st := range s.byNode {
		if st.class == gone.class && st != gone {
			return st
		}
	}
	return nil
}

// proven is the newest epoch that a proxy of the same class acknowledged.
func (s *streams) proven(class class) uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var epoch uint64
	for _, st := range s.byNode {
		if st.class == class {
			epoch = max(epoch, st.ledger.acknowledged().epoch)
		}
	}
	return epoch
}

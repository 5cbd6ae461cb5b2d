package istiod

import (
	"strconv"
	"strings"
	"sync"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1alpha3"
)

// The mark's service is nobody's: nothing is resolved, and only proxies of its own namespace know of it.
const (
	MarkName   = "isthmus-mark"
	markHost   = "mark.isthmus.internal"
	markPort   = 15499
	markRoutes = "15499"
)

// Mark is the number of a mark, counted by who writes it under a name of its own.
type Mark struct {
	Writer string
	Number uint64
}

const markPrefix = "isthmus-mark-"

func (m Mark) String() string { return markPrefix + m.Writer + "-" + strconv.FormatUint(m.Number, 10) }

func parseMark(text string) (m Mark, ok bool) {
	rest, ok := strings.CutPrefix(text, markPrefix)
	at := strings.LastIndex(rest, "-")
	if !ok || at < 0 {
		return m, false
	}
	number, err := strconv.ParseUint(rest[at+1:], 10, 64)
	return Mark{rest[:at], number}, err == nil
}

// Service is what the mark is hung on. It is written once.
func Service() *networking.ServiceEntry {
	return &networking.ServiceEntry{
		Hosts: []string{markHost}, ExportTo: []string{"."}, Resolution: networking.ServiceEntry_NONE,
		Location: networking.ServiceEntry_MESH_EXTERNAL,
		Ports:    []*networking.ServicePort{{Number: markPort, Name: "http", Protocol: "HTTP"}},
	}
}

// Route is the mark itself: the name of a route that nobody takes.
func (m Mark) Route() *networking.VirtualService {
	return &networking.VirtualService{
		Hosts: []string{markHost}, ExportTo: []string{"."},
		Http: []*networking.HTTPRoute{{Name: m.String(), DirectResponse: &networking.HTTPDirectResponse{Status: 404}}},
	}
}

// Push counts the pushes of one istiod process; 0 is before the first.
type Push uint64

// parsePush reads "TIME/NUMBER".
func parsePush(text string) Push {
	_, number, _ := strings.Cut(text, "/")
	n, _ := strconv.ParseUint(number, 10, 64) // what is no number is before all
	return Push(n)
}

// marks are the newest mark that arrived, with the push that brought it.
type marks struct {
	mu     sync.Mutex
	mark   Mark
	push   Push
	change chan struct{} // closed with the next one
}

func (m *marks) take(response *discovery.DeltaDiscoveryResponse) {
	for _, r := range response.Resources {
		var routes route.RouteConfiguration
		if proto.Unmarshal(r.GetResource().GetValue(), &routes) != nil {
			continue
		}
		for _, host := range routes.VirtualHosts {
			for _, one := range host.Routes {
				if mark, ok := parseMark(one.Name); ok {
					m.put(mark, parsePush(response.SystemVersionInfo))
				}
			}
		}
	}
}

func (m *marks) put(mark Mark, push Push) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mark == mark {
		return // sent again
	}
	m.mark, m.push = mark, push
	if m.change != nil {
		close(m.change)
		m.change = nil
	}
}

// Marked returns the newest mark that arrived and the push that brought it, and a channel that is closed when
// another does.
func (s *Stream) Marked() (Mark, Push, <-chan struct{}) {
	m := &s.marks
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.change == nil {
		m.change = make(chan struct{})
	}
	return m.mark, m.push, m.change
}

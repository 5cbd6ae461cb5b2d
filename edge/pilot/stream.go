package pilot

import (
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
)

type deltaRPC = discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesServer

// class groups the proxies that get alike configuration: what one accepted, the next will.
type class struct {
	workspace, service, version string
	role                        Role
}

// stream stands between one proxy and Istio. Istio sees a proxy that asks and never answers; the proxy sees a
// server that never repeats itself.
//
// Recv and Send are called from one goroutine each, by Istio.
type stream struct {
	deltaRPC
	name   string
	class  class
	kin    string // see [Workload.kin]
	node   *corev3.Node
	log    *slog.Logger
	ledger *ledger
	holds  *holdings
	out    *outgoing
	order  *order
	report func(trouble)
	// telling guards told, the newest revision of a receipt, and forgotten: acknowledgements of that epoch and before are no
	// receipts any more.
	telling   sync.Mutex
	told      int64
	forgotten uint64
	// suffers means that the proxy rejected something for reasons of its own.
	suffers atomic.Bool

	early   []*discovery.DeltaDiscoveryRequest // before what is received; Recv's own
	started map[string]bool                    // types asked for; Recv's own
	inbound chan received

	mu     sync.Mutex // guards the rest
	reason string
	over   chan struct{}
}

type received struct {
	req *discovery.DeltaDiscoveryRequest
	err error
}

// servedTypes are those a proxy may ask for. Istio has others, for people.
var servedTypes = []string{
	v3.ClusterType, v3.EndpointType, v3.ListenerType, v3.RouteType, v3.SecretType,
	v3.ExtensionConfigurationType, v3.NameTableType,
}

func newStream(rpc deltaRPC, p *Pilot, w *Workload, first *discovery.DeltaDiscoveryRequest) *stream {
	st := &stream{
		deltaRPC: rpc, name: w.Name, class: class{w.Workspace, w.Service, w.Version, w.Role}, kin: w.kin(), node: p.node(w), report: p.trouble.add,
		log: p.log.With("proxy", w.Name), holds: newHoldings(), started: map[string]bool{},
		out: newOutgoing(), inbound: make(chan received), over: make(chan struct{}),
	}
	st.order = newOrder(st.forward, func() {
		st.log.Warn("the proxy does not ask for the endpoints of new clusters; it gets its routes all the same")
	})
	st.ledger = newLedger(func(v version, advanced bool) { p.acknowledged(st, v, advanced) })
	first.Node = st.node
	st.early = []*discovery.DeltaDiscoveryRequest{{Node: st.node, TypeUrl: tailType, ResourceNamesSubscribe: []string{"*"}}, first}
	go st.listen() // both end with the RPC, which ends when its handler returns
	go st.out.run(rpc.Context(), rpc.Send)
	return st
}

func (st *stream) listen() {
	for {
		req, err := st.deltaRPC.Recv()
		select {
		case st.inbound <- received{req, err}:
		case <-st.over:
			return
		case <-st.Context().Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// end makes Istio and the proxy hang up.
func (st *stream) end(reason string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.reason == "" {
		st.reason = reason
		close(st.over)
	}
}

func (st *stream) ended() string {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.reason
}

// Recv implements the server's side of the RPC, for Istio: the next request that needs an answer.
func (st *stream) Recv() (*discovery.DeltaDiscoveryRequest, error) {
	for {
		req, err := st.next()
		if err != nil {
			return nil, err
		}
		if out := st.take(req); out != nil {
			return out, nil
		}
	}
}

func (st *stream) next() (*discovery.DeltaDiscoveryRequest, error) {
	if len(st.early) > 0 {
		req := st.early[0]
		st.early = st.early[1:]
		return req, nil
	}
	select {
	case r := <-st.inbound:
		return r.req, r.err
	case <-st.over:
		return nil, io.EOF
	case <-st.Context().Done(): // an end like any other; Istio would call it an error
		return nil, io.EOF
	}
}

// take notes what a request acknowledges and has; what is left of it for Istio may be nothing.
func (st *stream) take(req *discovery.DeltaDiscoveryRequest) *discovery.DeltaDiscoveryRequest {
	if req.TypeUrl == tailType {
		return st.takeTail(req)
	}
	if !slices.Contains(servedTypes, req.TypeUrl) {
		st.log.Warn("proxy asks for a type that is not served", "type", req.TypeUrl)
		return nil
	}
	st.holds.request(req)
	st.order.knows(req)
	st.answer(req)
	news := len(req.ResourceNamesSubscribe)+len(req.ResourceNamesUnsubscribe) > 0
	if st.started[req.TypeUrl] && !news {
		return nil
	}
	st.started[req.TypeUrl] = true
	return &discovery.DeltaDiscoveryRequest{
		Node: req.Node, TypeUrl: req.TypeUrl, InitialResourceVersions: req.InitialResourceVersions,
		ResourceNamesSubscribe: req.ResourceNamesSubscribe, ResourceNamesUnsubscribe: req.ResourceNamesUnsubscribe,
	}
}

// takeTail lets our own request through, once.
func (st *stream) takeTail(req *discovery.DeltaDiscoveryRequest) *discovery.DeltaDiscoveryRequest {
	if st.started[tailType] {
		return nil
	}
	st.started[tailType] = true
	return req
}

// answer handles an acknowledgement or a rejection.
func (st *stream) answer(req *discovery.DeltaDiscoveryRequest) {
	if req.ResponseNonce == "" {
		return
	}
	if req.ErrorDetail == nil {
		if letter, ok := st.ledger.ack(req.ResponseNonce); ok {
			st.order.answered(letter, false)
		}
		return
	}
	if letter, ok := st.ledger.nack(req.ResponseNonce, req.ErrorDetail.GetMessage()); ok {
		st.order.answered(letter, true)
		st.holds.forget(letter.typeURL, letter.names)
		st.report(trouble{stream: st, letter: letter, message: req.ErrorDetail.GetMessage()})
	}
}

// Send implements the server's side of the RPC, for Istio: it sends what the proxy does not have yet, when its turn
// has come.
func (st *stream) Send(resp *discovery.DeltaDiscoveryResponse) error {
	out, gone := departing(st.holds.filter(resp))
	if out != nil || gone == nil {
		st.ledger.send(resp, out)
	}
	if gone != nil {
		st.ledger.send(resp, gone)
		st.order.leave(gone)
	}
	if out != nil {
		st.order.add(out)
	}
	return nil
}

// departing splits the clusters that go from those that come or change; either may be nil.
func departing(resp *discovery.DeltaDiscoveryResponse) (stay, gone *discovery.DeltaDiscoveryResponse) {
	if resp == nil || resp.TypeUrl != v3.ClusterType || len(resp.RemovedResources) == 0 {
		return resp, nil
	}
	gone = &discovery.DeltaDiscoveryResponse{
		SystemVersionInfo: resp.SystemVersionInfo, TypeUrl: resp.TypeUrl, Nonce: resp.Nonce + "/gone",
		ControlPlane: resp.ControlPlane, RemovedResources: resp.RemovedResources,
	}
	resp.RemovedResources = nil
	if len(resp.Resources) == 0 {
		return nil, gone
	}
	return resp, gone
}

// forward sends a response whose turn has come.
func (st *stream) forward(resp *discovery.DeltaDiscoveryResponse) {
	if !st.out.add(resp) {
		st.end("the proxy does not read what it is sent")
	}
}

package relay

import (
	"net/netip"
	"slices"
	"strconv"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
)

// unknownVersion is stated to an edge for a resource of which only Envoy knows the version. It is no
// version any edge gives.
const unknownVersion = "unknown"

type (
	envoyLine = mailbox[*discovery.DeltaDiscoveryResponse]
	edgeLine  = mailbox[*discovery.DeltaDiscoveryRequest]
)

// exchange is what passes between one stream of Envoy and one of an edge. Its methods are called under
// the relay's lock, and write to mailboxes only.
type exchange struct {
	holdings *holdings
	node     *core.Node
	names    func(map[string][]netip.Addr)
	verdict  func(typeURL, rejection string)

	envoy *envoyLine // nil: Envoy is not connected
	edge  *edgeLine  // nil: no edge is

	wanted  map[string]*subscription
	order   []string // types in the order Envoy asked for them, which is the order that works
	flights map[string]flight
	nonce   uint64
	// doubted are resources of the holdings that this Envoy rejected.
	doubted map[[2]string]bool
	// restart ends the stream to the edge, so that another one states its versions anew.
	restart func()
}

// flight is a response that Envoy has not answered.
type flight struct {
	response *discovery.DeltaDiscoveryResponse
	from     *edgeLine // nil: the holdings
	nonce    string    // the edge's
	landed   func()
}

func (f flight) carries(name string) bool {
	return slices.Contains(f.response.RemovedResources, name) ||
		slices.ContainsFunc(f.response.Resources, func(r *discovery.Resource) bool { return r.Name == name })
}

func (x *exchange) envoyOpened(line *envoyLine) {
	for _, f := range x.flights {
		f.landed()
	}
	x.envoy, x.edge, x.order = line, nil, nil
	x.wanted, x.flights, x.doubted = map[string]*subscription{}, map[string]flight{}, map[[2]string]bool{}
}

// edgeOpened states to a new stream what Envoy wants and what it has.
func (x *exchange) edgeOpened(line *edgeLine, restart func()) {
	x.edge, x.restart = line, restart
	line.put(&discovery.DeltaDiscoveryRequest{
		Node: x.node, TypeUrl: nameTableType, InitialResourceVersions: x.versions(nameTableType, nil),
	})
	for _, typeURL := range x.order {
		s := x.wanted[typeURL]
		x.edge.put(&discovery.DeltaDiscoveryRequest{
			TypeUrl: typeURL, ResourceNamesSubscribe: s.list(), InitialResourceVersions: x.versions(typeURL, s),
		})
	}
}

// versions are those of the holdings that are wanted. A nil subscription wants all and states nothing.
func (x *exchange) versions(typeURL string, s *subscription) map[string]string {
	versions := map[string]string{}
	if s != nil {
		for name := range s.stated {
			if s.wants(name) {
				versions[name] = unknownVersion
			}
		}
	}
	have, _ := x.holdings.of(typeURL)
	for name, r := range have {
		switch {
		case x.doubted[[2]string{typeURL, name}]:
			versions[name] = unknownVersion
		case s == nil || s.wants(name):
			versions[name] = r.Version
		}
	}
	return versions
}

// fromEnvoy handles a request of Envoy: an answer to a flight, a subscription, or both.
func (x *exchange) fromEnvoy(req *discovery.DeltaDiscoveryRequest) {
	if req.ResponseNonce != "" {
		x.land(req)
	}
	s, known := x.wanted[req.TypeUrl]
	switch {
	case !known:
		x.wanted[req.TypeUrl] = newSubscription(req)
		x.order = append(x.order, req.TypeUrl)
	case !s.change(req):
		return
	}
	x.holdings.drop(req.TypeUrl, req.ResourceNamesUnsubscribe)
	x.offer(req, !known)
	x.ask(req)
}

// offer answers a subscription from the holdings, with what is not on its way already.
func (x *exchange) offer(req *discovery.DeltaDiscoveryRequest, first bool) {
	have, known := x.holdings.of(req.TypeUrl)
	s, names := x.wanted[req.TypeUrl], req.ResourceNamesSubscribe
	if s.all && (first || slices.Contains(names, wildcard)) {
		names = sorted(have)
	}
	offer := &discovery.DeltaDiscoveryResponse{TypeUrl: req.TypeUrl}
	for _, name := range names {
		r, held := have[name]
		if _, stated := req.InitialResourceVersions[name]; held && !stated && !x.flying(req.TypeUrl, name) {
			offer.Resources = append(offer.Resources, r)
		}
	}
	empty := first && known && s.all && len(req.InitialResourceVersions) == 0
	if len(offer.Resources) > 0 || empty {
		x.launch(flight{response: offer, landed: func() {}})
	}
}

func (x *exchange) flying(typeURL, name string) bool {
	for _, f := range x.flights {
		if f.response.TypeUrl == typeURL && f.carries(name) {
			return true
		}
	}
	return false
}

// ask passes a subscription on.
func (x *exchange) ask(req *discovery.DeltaDiscoveryRequest) {
	if x.edge == nil {
		return
	}
	s := x.wanted[req.TypeUrl]
	versions := x.versions(req.TypeUrl, s)
	for name := range versions { // only of what is asked for now
		if !slices.Contains(req.ResourceNamesSubscribe, name) && !(s.all && len(req.ResourceNamesSubscribe) == 0) {
			delete(versions, name)
		}
	}
	x.edge.put(&discovery.DeltaDiscoveryRequest{
		TypeUrl: req.TypeUrl, InitialResourceVersions: versions,
		ResourceNamesSubscribe: req.ResourceNamesSubscribe, ResourceNamesUnsubscribe: req.ResourceNamesUnsubscribe,
	})
}

// launch sends a response to Envoy under a nonce of ours.
func (x *exchange) launch(f flight) {
	x.nonce++
	f.response.Nonce = strconv.FormatUint(x.nonce, 10)
	x.flights[f.response.Nonce] = f
	x.envoy.put(f.response)
}

// land handles Envoy's answer to a flight.
func (x *exchange) land(req *discovery.DeltaDiscoveryRequest) {
	f, ok := x.flights[req.ResponseNonce]
	if !ok {
		return
	}
	delete(x.flights, req.ResponseNonce)
	f.landed()
	x.verdict(req.TypeUrl, req.ErrorDetail.GetMessage())
	switch {
	case req.ErrorDetail != nil:
		x.rejected(f)
	case f.from != nil:
		x.wanted[req.TypeUrl].settle(f.response)
		x.holdings.accept(req.TypeUrl, f.response.Resources, f.response.RemovedResources, x.wanted[req.TypeUrl].wants)
	}
	if f.from != nil && f.from == x.edge {
		x.edge.put(&discovery.DeltaDiscoveryRequest{TypeUrl: req.TypeUrl, ResponseNonce: f.nonce, ErrorDetail: req.ErrorDetail})
	}
}

// rejected deals with holdings that Envoy accepted once and does not now, for instance because a port
// is taken. They stay, but the edge is asked for them again: a rejection of its own it can act upon.
func (x *exchange) rejected(f flight) {
	if f.from != nil {
		return
	}
	for _, r := range f.response.Resources {
		x.doubted[[2]string{f.response.TypeUrl, r.Name}] = true
	}
	if x.edge != nil {
		x.edge = nil
		x.restart()
	}
}

// fromEdge handles a response of an edge. landed is called once, when Envoy answered it or it goes nowhere.
func (x *exchange) fromEdge(line *edgeLine, response *discovery.DeltaDiscoveryResponse, landed func()) {
	switch {
	case line != x.edge || x.envoy == nil:
		landed()
	case response.TypeUrl == nameTableType:
		line.put(x.learn(response))
		landed()
	case x.wanted[response.TypeUrl] == nil:
		line.put(&discovery.DeltaDiscoveryRequest{TypeUrl: response.TypeUrl, ResponseNonce: response.Nonce})
		landed()
	default:
		x.launch(flight{response: response, from: line, nonce: response.Nonce, landed: landed})
	}
}

// learn takes in a name table and answers it.
func (x *exchange) learn(response *discovery.DeltaDiscoveryResponse) *discovery.DeltaDiscoveryRequest {
	answer := &discovery.DeltaDiscoveryRequest{TypeUrl: nameTableType, ResponseNonce: response.Nonce}
	table := map[string][]netip.Addr{}
	for _, r := range response.Resources {
		names, err := decodeNameTable(r.Resource.GetValue())
		if err != nil {
			answer.ErrorDetail = &rpcstatus.Status{Code: int32(codes.InvalidArgument), Message: err.Error()}
			return answer
		}
		table = names
	}
	x.holdings.accept(nameTableType, response.Resources, response.RemovedResources, func(string) bool { return true })
	if len(response.Resources)+len(response.RemovedResources) > 0 {
		x.names(table)
	}
	return answer
}

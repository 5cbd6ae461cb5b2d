package relay

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/isthmus-mesh/isthmus/machine/xds"
)

// unknownVersion is stated to an edge for a resource of which only Envoy knows the version. It is no
// version any edge gives.
const unknownVersion = "unknown"

type (
	envoyLine = mailbox[*xds.DeltaResponse]
	edgeLine  = mailbox[*xds.DeltaRequest]
)

// exchange is what passes between one stream of Envoy and one of an edge. Its methods are called under
// the relay's lock, and write to mailboxes only.
type exchange struct {
	holdings *holdings
	nodeID   string
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
	response *xds.DeltaResponse
	from     *edgeLine // nil: the holdings
	nonce    string    // the edge's
	landed   func()
}

func (f flight) carries(name string) bool {
	return slices.Contains(f.response.Removed, name) ||
		slices.ContainsFunc(f.response.Resources, func(r *xds.Resource) bool { return r.Name() == name })
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
	line.put(&xds.DeltaRequest{
		NodeID: x.nodeID, TypeURL: nameTableType, Versions: x.versions(nameTableType, nil),
	})
	for _, typeURL := range x.order {
		s := x.wanted[typeURL]
		if s.empty() { // no names would mean all
			continue
		}
		x.edge.put(&xds.DeltaRequest{
			TypeURL: typeURL, Subscribe: s.list(), Versions: x.versions(typeURL, s),
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
			versions[name] = r.Version()
		}
	}
	return versions
}

// fromEnvoy handles a request of Envoy: an answer to a flight, a subscription, or both.
func (x *exchange) fromEnvoy(req *xds.DeltaRequest) {
	if req.Nonce != "" {
		x.land(req)
	}
	s, known := x.wanted[req.TypeURL]
	switch {
	case !known:
		x.wanted[req.TypeURL] = newSubscription(req)
		x.order = append(x.order, req.TypeURL)
	case !s.change(req):
		return
	}
	x.holdings.drop(req.TypeURL, req.Unsubscribe)
	x.offer(req, !known)
	x.ask(req)
}

// offer answers a subscription from the holdings, with what is not on its way already.
func (x *exchange) offer(req *xds.DeltaRequest, first bool) {
	have, known := x.holdings.of(req.TypeURL)
	s, names := x.wanted[req.TypeURL], req.Subscribe
	if s.all && (first || slices.Contains(names, wildcard)) {
		names = sorted(have)
	}
	offer := &xds.DeltaResponse{TypeURL: req.TypeURL}
	for _, name := range names {
		r, held := have[name]
		if _, stated := req.Versions[name]; held && !stated && !x.flying(req.TypeURL, name) {
			offer.Resources = append(offer.Resources, r)
		}
	}
	empty := first && known && s.all && len(req.Versions) == 0
	if len(offer.Resources) > 0 || empty {
		x.launch(flight{response: offer, landed: func() {}})
	}
}

func (x *exchange) flying(typeURL, name string) bool {
	for _, f := range x.flights {
		if f.response.TypeURL == typeURL && f.carries(name) {
			return true
		}
	}
	return false
}

// ask passes a subscription on.
func (x *exchange) ask(req *xds.DeltaRequest) {
	if x.edge == nil {
		return
	}
	s := x.wanted[req.TypeURL]
	versions := x.versions(req.TypeURL, s)
	for name := range versions { // of nothing but what is asked here
		if !slices.Contains(req.Subscribe, name) && !(s.all && len(req.Subscribe) == 0) {
			delete(versions, name)
		}
	}
	x.edge.put(&xds.DeltaRequest{
		TypeURL: req.TypeURL, Versions: versions,
		Subscribe: req.Subscribe, Unsubscribe: req.Unsubscribe,
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
func (x *exchange) land(req *xds.DeltaRequest) {
	f, ok := x.flights[req.Nonce]
	if !ok {
		return
	}
	delete(x.flights, req.Nonce)
	f.landed()
	x.verdict(req.TypeURL, req.Rejection.Message())
	switch {
	case req.Rejection != nil:
		x.rejected(f)
	case f.from != nil:
		x.wanted[req.TypeURL].settle(f.response)
		x.holdings.accept(req.TypeURL, f.response.Resources, f.response.Removed, x.wanted[req.TypeURL].wants)
	}
	if f.from != nil && f.from == x.edge {
		x.edge.put(&xds.DeltaRequest{TypeURL: req.TypeURL, Nonce: f.nonce, Rejection: req.Rejection})
	}
}

// rejected deals with holdings that Envoy accepted once and does not now, for instance because a port
// is taken. They stay, but the edge is asked for them again: a rejection of its own it can act upon.
func (x *exchange) rejected(f flight) {
	if f.from != nil {
		return
	}
	for _, r := range f.response.Resources {
		x.doubted[[2]string{f.response.TypeURL, r.Name()}] = true
	}
	if x.edge != nil {
		x.edge = nil
		x.restart()
	}
}

// fromEdge handles a response of an edge. landed is called once, when Envoy answered it or it goes nowhere.
func (x *exchange) fromEdge(line *edgeLine, response *xds.DeltaResponse, landed func()) {
	switch {
	case line != x.edge || x.envoy == nil:
		landed()
	case response.TypeURL == nameTableType:
		line.put(x.learn(response))
		landed()
	case x.wanted[response.TypeURL] == nil:
		line.put(&xds.DeltaRequest{TypeURL: response.TypeURL, Nonce: response.Nonce})
		landed()
	default:
		x.launch(flight{response: response, from: line, nonce: response.Nonce, landed: landed})
	}
}

// learn takes in a name table and answers it.
func (x *exchange) learn(response *xds.DeltaResponse) *xds.DeltaRequest {
	answer := &xds.DeltaRequest{TypeURL: nameTableType, Nonce: response.Nonce}
	table := map[string][]netip.Addr{}
	for _, r := range response.Resources {
		names, err := nameTable(r)
		if err != nil {
			answer.Rejection = &xds.Rejection{Text: err.Error()}
			return answer
		}
		table = names
	}
	x.holdings.accept(nameTableType, response.Resources, response.Removed, func(string) bool { return true })
	if len(response.Resources)+len(response.Removed) > 0 {
		x.names(table)
	}
	return answer
}

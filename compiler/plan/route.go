package plan

import "time"

// VirtualHost is everything that is routed under some names at one place: inside the mesh, or at
// one listener of a gateway.
type VirtualHost struct {
	// Workspace the routing belongs to.
	Workspace string
	// Service is set inside of the mesh: calls of this service are routed.
	Service *Service
	// Site is set when the routing is for one zone.
	Site *Site
	// Gateway and Listener are set at a gateway.
	Gateway, Listener string
	// Host at a gateway, "*" is any; in a cluster, the name by which Service is called.
	Host string
	// Entries in match order: the first that matches decides.
	Entries []Entry
	// Streams route connections that are not taken apart into requests.
	Streams []Stream
}

// Entry is one match and what happens to the requests that meet it.
type Entry struct {
	// Port of the service called; 0 means every one.
	Port  int32
	Match Match
	Rule  *Rule
}

// Rule says what happens to a request.
type Rule struct {
	Origin Origin
	// GRPC says that the requests are gRPC calls.
	GRPC bool
	// Redirect answers the request with another place.
	Redirect *Redirect
	Rewrite  *Rewrite
	Request  *HeaderChange
	Response *HeaderChange
	Mirrors  []Mirror
	CORS     *CORS
	// Backends share the requests by weight; every weight is positive.
	Backends []Backend
	// Refused percent of the requests are answered with an error, because the backend meant for
	// them does not exist. 100 without Backends.
	Refused float64
	Timeout time.Duration
	Retries *Retries
	Fault   *Fault
	// Policies that Timeout, Retries, Fault and the zones of Backends are from.
	Policies []Origin
}

// Stream routes connections by port and, if they are TLS, by server name.
type Stream struct {
	Origin Origin
	// Port of the service called; 0 means every one.
	Port int32
	// Names sent in the TLS handshake (SNI); empty means connections are not looked into.
	Names []string
	// Backends share the connections by weight.
	Backends []Backend
	// Policies that the zones of Backends are from.
	Policies []Origin
}

// Backend is a service, or a subset of it, that requests go to.
type Backend struct {
	Service *Service
	// Subset is the name of a subset; empty means the whole service.
	Subset string
	// Host is a name of the service that only holds at the site the routing is for; empty means its own.
	Host   string
	Port   int32
	Weight int32
	// Request and Response change headers for this backend only.
	Request, Response *HeaderChange
}

// Nowhere says that connections to the backend fail: it stands for one that does not exist.
func (b *Backend) Nowhere() bool { return b.Service == nil }

// Match is what a request must look like; all parts must agree.
type Match struct {
	Path   *PathMatch
	Method string
	// Headers and Query in the order given, one of a name.
	Headers, Query []ValueMatch
}

// PathKind is how a path is compared.
type PathKind uint8

// How a path is compared.
const (
	// PathPrefix matches whole elements: "/a" matches "/a" and "/a/b", not "/ab".
	PathPrefix PathKind = iota
	PathRegex
	PathExact
)

// PathMatch compares the path of a request.
type PathMatch struct {
	Kind  PathKind
	Value string
}

// ValueMatch compares a header or query parameter.
type ValueMatch struct {
	// Name in lower case for headers.
	Name, Value string
	// Regex says that Value is a regular expression (RE2) for the whole value.
	Regex bool
}

// HeaderChange sets, adds and removes headers.
type HeaderChange struct {
	Set, Add map[string]string
	Remove   []string
}

// PathChange replaces a path: all of it, or the prefix that matched.
type PathChange struct {
	Full  bool
	Value string
}

// Redirect answers with another place. Empty parts stay as they are in the request.
type Redirect struct {
	Scheme, Host string
	Path         *PathChange
	// Port 0 means the scheme's own if Scheme is set, else the port of the request.
	Port   int32
	Status int32
}

// Rewrite changes a request before it is sent on.
type Rewrite struct {
	Host string
	Path *PathChange
}

// Mirror sends a copy of some requests to a backend and ignores the answers.
type Mirror struct {
	Backend Backend
	Percent float64
}

// CORS answers preflight requests of browsers (https://fetch.spec.whatwg.org/#http-cors-protocol).
type CORS struct {
	// Origins may hold one "*" each.
	Origins                   []string
	Methods, Headers, Exposed []string
	MaxAge                    time.Duration
	Credentials               bool
}

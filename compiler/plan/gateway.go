package plan

// Gateway is an entrance of the mesh: proxies that listen on the ports of its listeners.
type Gateway struct {
	Workspace, Name string
	Origin          Origin
	// Listeners that serve; faulty ones are left out.
	Listeners []Listener
}

// ListenerProtocol is what a listener speaks.
type ListenerProtocol uint8

// What a listener speaks.
const (
	ListenHTTP ListenerProtocol = iota
	// ListenHTTPS ends TLS and routes requests.
	ListenHTTPS
	// ListenTLS ends TLS and routes connections.
	ListenTLS
	// ListenPassthrough routes TLS connections by name without ending them.
	ListenPassthrough
	ListenTCP
)

// Listener is one port of a gateway under one name.
type Listener struct {
	Name     string
	Port     int32
	Protocol ListenerProtocol
	// Host served; "*" is any.
	Host string
	// Certificates are names of secrets in the workspace of the gateway.
	Certificates []string
	Origin       Origin
}

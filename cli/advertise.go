package cli

import (
	"net"

	"github.com/isthmus-mesh/isthmus/identity"
)

// reachable is where others reach a server that listens on an address: that address, if it names a
// host, else this machine's own address towards one of the peers, else any that is not loopback.
func reachable(listen string, peers []string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", usage("--listen %s: want HOST:PORT or :PORT", listen)
	}
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return listen, nil
	}
	for _, peer := range peers {
		if ip := towards(peer); ip != nil && !ip.IsLoopback() {
			return net.JoinHostPort(ip.String(), port), nil
		}
	}
	return net.JoinHostPort(anyAddress().String(), port), nil
}

// towards is this machine's address on the way to a peer; nil if there is no way. Nothing is sent.
func towards(peer string) net.IP {
	connection, err := net.Dial("udp", peer)
	if err != nil {
		return nil
	}
	defer connection.Close()
	return connection.LocalAddr().(*net.UDPAddr).IP
}

// anyAddress is the first global address of this machine, loopback if it has none.
func anyAddress() net.IP {
	addresses, _ := net.InterfaceAddrs() // without any, loopback is the answer
	for _, a := range addresses {
		if network, ok := a.(*net.IPNet); ok && network.IP.IsGlobalUnicast() {
			return network.IP
		}
	}
	return net.IPv4(127, 0, 0, 1)
}

// hubsOf are the addresses an edge will dial, as far as its flags say.
func hubsOf(given []string, joinToken string) []string {
	if token, err := identity.ParseToken(joinToken); len(given) == 0 && err == nil {
		return token.Addresses
	}
	return given
}

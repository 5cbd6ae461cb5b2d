package agent

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/isthmus-mesh/isthmus/agent/dns"
	"github.com/isthmus-mesh/isthmus/agent/envoy"
	"github.com/isthmus-mesh/isthmus/api/problem"
)

const (
	defaultDNS = "127.0.0.1:15053"
	resolvConf = "/etc/resolv.conf"
)

// dnsAddress is where names are answered; empty if they are not.
func (s *Settings) dnsAddress(redirect bool) string {
	switch {
	case s.DNS == "off" || (s.DNS == "" && !redirect):
		return ""
	case s.DNS == "":
		return defaultDNS
	}
	return s.DNS
}

// equipNames makes the server of names, if there is to be one.
func (a *agent) equipNames() {
	address := a.settings.dnsAddress(a.capture.redirect)
	if address == "" {
		return
	}
	resolvers := func() []string { return a.settings.Resolvers }
	if len(a.settings.Resolvers) == 0 {
		resolvers = dns.ResolvConf(resolvConf, address)
	}
	a.names = dns.New(dns.Config{
		Workspace: a.holder.now.Load().Workspace, IPv4Only: a.capture.redirect && !a.capture.ipv6,
		Resolvers: resolvers, Dialer: &net.Dialer{Control: a.capture.mark()}, Log: a.config.Log,
	})
	a.openNames()
}

// openNames opens the sockets for questions. While Envoy runs it holds them too, so that questions
// wait for the next agent when this one ends. An address that is taken is a warning: the machine can be
// in service without.
func (a *agent) openNames() {
	if a.names == nil {
		return
	}
	var err error
	if a.sockets, err = a.nameSockets(); err != nil {
		a.config.Log.Error("names are not answered", "err", err)
		a.board.Set("names", problem.NamesUnanswered, err.Error())
		return
	}
	if !envoy.CanHold() {
		return
	}
	for _, s := range a.sockets {
		files, err := s.files()
		if err != nil {
			a.config.Log.Error("the sockets for names cannot be shared", "err", err)
			return
		}
		a.spec.Hold = append(a.spec.Hold, files...)
	}
}

// serveNames answers questions until ctx ends.
func (a *agent) serveNames(ctx context.Context) error {
	work, ctx := errgroup.WithContext(ctx)
	for _, s := range a.sockets {
		work.Go(func() error { return a.names.Serve(ctx, s.packets, s.streams) })
	}
	return work.Wait()
}

// nameSocket is one address on which names are answered.
type nameSocket struct {
	packets net.PacketConn
	streams net.Listener
}

// nameSockets are those that the running Envoy holds, or new ones. Where redirected questions may come by
// IPv6 and the machine has it, there is one for that too.
func (a *agent) nameSockets() ([]nameSocket, error) {
	address := a.settings.dnsAddress(a.capture.redirect)
	held, err := a.heldNames()
	if err == nil && len(held) > 0 && held[0].packets.LocalAddr().String() == address {
		return held, nil
	}
	closeNames(held)
	first, err := listenNames(address)
	if err != nil {
		return nil, err
	}
	sockets := []nameSocket{*first}
	if _, port, err := net.SplitHostPort(address); err == nil && a.capture.redirect {
		if second, err := listenNames(net.JoinHostPort("::1", port)); err == nil {
			sockets = append(sockets, *second)
		}
	}
	return sockets, nil
}

func listenNames(address string) (*nameSocket, error) {
	packets, err := net.ListenPacket("udp", address)
	if err != nil {
		return nil, err
	}
	streams, err := net.Listen("tcp", packets.LocalAddr().String())
	if err != nil {
		return nil, errors.Join(err, packets.Close())
	}
	return &nameSocket{packets, streams}, nil
}

// files are copies of the sockets, as [nameSocketOf] reads them.
func (s nameSocket) files() ([]*os.File, error) {
	packets, err := s.packets.(*net.UDPConn).File()
	if err != nil {
		return nil, err
	}
	streams, err := s.streams.(*net.TCPListener).File()
	return []*os.File{packets, streams}, err
}

// heldNames are the sockets that Envoy has held since an earlier agent.
func (a *agent) heldNames() ([]nameSocket, error) {
	files, err := a.spec.Held()
	if err != nil {
		return nil, err
	}
	var sockets []nameSocket
	for pair := range slices.Chunk(files, 2) {
		s, err := nameSocketOf(pair)
		if err != nil {
			closeNames(sockets)
			return nil, err
		}
		sockets = append(sockets, *s)
	}
	return sockets, nil
}

// nameSocketOf makes sockets of a pair of files, and closes the files.
func nameSocketOf(pair []*os.File) (*nameSocket, error) {
	for _, file := range pair {
		defer file.Close()
	}
	if len(pair) != 2 {
		return nil, errors.New("a socket for names has no partner")
	}
	packets, err := net.FilePacketConn(pair[0])
	if err != nil {
		return nil, err
	}
	streams, err := net.FileListener(pair[1])
	if err != nil {
		return nil, errors.Join(err, packets.Close())
	}
	return &nameSocket{packets, streams}, nil
}

func closeNames(sockets []nameSocket) {
	for _, s := range sockets {
		s.packets.Close()
		s.streams.Close()
	}
}

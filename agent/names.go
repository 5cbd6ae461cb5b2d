package agent

import (
	"context"
	"errors"
	"net"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/isthmus-mesh/isthmus/agent/dns"
	"github.com/isthmus-mesh/isthmus/agent/systemd"
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
}

// serveNames answers questions until ctx ends. An address that is taken is a warning: the machine can be in
// service without.
func (a *agent) serveNames(ctx context.Context) error {
	if a.names == nil {
		return nil
	}
	sockets, err := a.nameSockets()
	if err != nil {
		a.config.Log.Error("names are not answered", "err", err)
		a.board.Set("names", problem.NamesUnanswered, err.Error())
	}
	work, ctx := errgroup.WithContext(ctx)
	for _, s := range sockets {
		work.Go(func() error { return a.names.Serve(ctx, s.packets, s.streams) })
	}
	return work.Wait()
}

// nameSocket is one address on which names are answered.
type nameSocket struct {
	packets net.PacketConn
	streams net.Listener
}

// nameSockets are those that systemd holds, or new ones. Where redirected questions may come by IPv6 and the
// machine has it, there is one for that too.
func (a *agent) nameSockets() ([]nameSocket, error) {
	address := a.settings.dnsAddress(a.capture.redirect)
	first, err := inheritedNames()
	if first == nil && err == nil {
		first, err = listenNames(address)
	}
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

// inheritedNames are the sockets of isthmus-agent.socket; nil if there are none.
func inheritedNames() (*nameSocket, error) {
	files := systemd.Sockets("dns")
	if len(files) == 0 {
		return nil, nil
	}
	var s nameSocket
	for _, file := range files {
		if err := s.take(file); err != nil {
			return nil, err
		}
	}
	if s.packets == nil || s.streams == nil {
		return nil, errors.New("systemd passes no pair of sockets named dns")
	}
	return &s, nil
}

func (s *nameSocket) take(file *os.File) error {
	defer file.Close()
	if packets, err := net.FilePacketConn(file); err == nil {
		s.packets = packets
		return nil
	}
	streams, err := net.FileListener(file)
	s.streams = streams
	return err
}

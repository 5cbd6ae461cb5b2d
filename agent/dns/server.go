// Package dns answers the machine's questions for names of the mesh from a table, and passes all
// others on to the machine's own resolvers unchanged.
//
// A host "reviews.shop.mesh" of the table is also "reviews.shop", and inside the workspace shop
// "reviews". A [Server] may be used from any goroutine; Serve is called once per socket.
package dns

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

const (
	// ttl of answers from the table, in seconds. Addresses of the mesh do not move.
	ttl = 30
	// forwardTime is how long one resolver may take.
	forwardTime = 2 * time.Second
	// maxForwards is how many questions may wait for resolvers.
	maxForwards = 256
)

// Config is what a server needs.
type Config struct {
	// Workspace whose services are known by their bare names.
	Workspace string
	// IPv4Only leaves out IPv6 addresses, because Envoy does not take such connections.
	IPv4Only bool
	// Resolvers returns "address:port" of those who know everything else, best first.
	Resolvers func() []string
	// Dialer reaches them; nil means a plain one.
	Dialer *net.Dialer
	Log    *slog.Logger
}

// Server answers questions.
type Server struct {
	config   Config
	table    atomic.Pointer[map[string][]netip.Addr]
	forwards chan struct{}
}

// New makes a server that knows no names.
func New(config Config) *Server {
	s := &Server{config: config, forwards: make(chan struct{}, maxForwards)}
	s.SetTable(nil)
	return s
}

// SetTable replaces the names of the mesh: hosts and their addresses.
func (s *Server) SetTable(hosts map[string][]netip.Addr) {
	table := make(map[string][]netip.Addr, 2*len(hosts))
	for host, addrs := range hosts {
		for _, alias := range s.aliases(strings.ToLower(host)) {
			if _, own := hosts[alias]; !own {
				table[alias] = addrs
			}
		}
	}
	for host, addrs := range hosts {
		table[strings.ToLower(host)] = addrs
	}
	s.table.Store(&table)
}

// aliases are the short names of a host of the mesh.
func (s *Server) aliases(host string) []string {
	short, ok := strings.CutSuffix(host, ".mesh")
	if !ok {
		return nil
	}
	service, workspace, ok := strings.Cut(short, ".")
	if !ok || strings.Contains(workspace, ".") {
		return nil
	}
	if workspace == s.config.Workspace {
		return []string{short, service}
	}
	return []string{short}
}

// Len is the number of names known, short ones included.
func (s *Server) Len() int { return len(*s.table.Load()) }

// lookup finds a name, or the wildcard host it belongs to.
func (s *Server) lookup(name string) ([]netip.Addr, bool) {
	table := *s.table.Load()
	if addrs, ok := table[name]; ok {
		return addrs, true
	}
	for rest, ok := "", true; ok; {
		if _, rest, ok = strings.Cut(name, "."); ok {
			if addrs, found := table["*."+rest]; found {
				return addrs, true
			}
			name = rest
		}
	}
	return nil, false
}

// Serve answers on UDP and TCP sockets until ctx ends.
func (s *Server) Serve(ctx context.Context, packets net.PacketConn, streams net.Listener) error {
	servers := []*dns.Server{{PacketConn: packets, Handler: s}, {Listener: streams, Handler: s}}
	failed := make(chan error, len(servers))
	for _, server := range servers {
		go func() { failed <- server.ActivateAndServe() }()
	}
	var err error
	ended := 0
	select {
	case <-ctx.Done():
	case err = <-failed:
		ended++
	}
	for _, server := range servers {
		_ = server.Shutdown() // an error means that it has ended
	}
	packets.Close()
	streams.Close()
	for ; ended < len(servers); ended++ {
		<-failed
	}
	return err
}

// ServeDNS implements [dns.Handler].
func (s *Server) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
	if len(question.Question) != 1 || question.Opcode != dns.OpcodeQuery {
		s.write(w, new(dns.Msg).SetRcode(question, dns.RcodeNotImplemented))
		return
	}
	q := question.Question[0]
	addrs, ok := s.lookup(strings.ToLower(strings.TrimSuffix(q.Name, ".")))
	if !ok || q.Qclass != dns.ClassINET {
		s.forward(w, question)
		return
	}
	s.write(w, s.reply(question, addrs))
}

func (s *Server) write(w dns.ResponseWriter, m *dns.Msg) {
	if err := w.WriteMsg(m); err != nil {
		s.config.Log.Debug("answer not sent", "err", err)
	}
}

// reply answers with the addresses of the family asked for, which may be none.
func (s *Server) reply(question *dns.Msg, addrs []netip.Addr) *dns.Msg {
	m := new(dns.Msg).SetReply(question)
	m.Authoritative, m.RecursionAvailable = true, true
	q := question.Question[0]
	header := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: ttl}
	for _, addr := range addrs {
		switch addr = addr.Unmap(); {
		case addr.Is4() && q.Qtype == dns.TypeA:
			m.Answer = append(m.Answer, &dns.A{Hdr: header, A: addr.AsSlice()})
		case addr.Is6() && !s.config.IPv4Only && q.Qtype == dns.TypeAAAA:
			m.Answer = append(m.Answer, &dns.AAAA{Hdr: header, AAAA: addr.AsSlice()})
		}
	}
	return m
}

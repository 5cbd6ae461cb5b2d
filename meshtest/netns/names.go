package netns

import (
	"net"
	"net/netip"
	"sync"

	"github.com/miekg/dns"
)

// nameServer answers A and AAAA over UDP and TCP from a table.
type nameServer struct {
	servers []*dns.Server
	serving sync.WaitGroup

	mu    sync.Mutex
	table map[string][]netip.Addr // by name with its final dot
	asked map[string]int
}

func startNames(space namespace) (*nameServer, error) {
	n := &nameServer{table: map[string][]netip.Addr{}, asked: map[string]int{}}
	address := netip.AddrPortFrom(gateway4, 53).String()
	err := space.do(func() error {
		packets, err := net.ListenPacket("udp4", address)
		if err != nil {
			return err
		}
		listener, err := net.Listen("tcp4", address)
		n.servers = []*dns.Server{{PacketConn: packets, Handler: n}, {Listener: listener, Handler: n}}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, server := range n.servers {
		ready := make(chan struct{})
		server.NotifyStartedFunc = func() { close(ready) }
		n.serving.Go(func() { server.ActivateAndServe() }) // ends by Shutdown
		<-ready
	}
	return n, nil
}

func (n *nameServer) close() {
	for _, server := range n.servers {
		server.Shutdown()
	}
	n.serving.Wait()
}

func (n *nameServer) set(name string, addresses []netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.table[dns.CanonicalName(name)] = addresses
}

func (n *nameServer) askedFor(name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked[dns.CanonicalName(name)]
}

// ServeDNS implements dns.Handler.
func (n *nameServer) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	reply := new(dns.Msg).SetReply(query)
	for _, question := range query.Question {
		n.answer(reply, question)
	}
	w.WriteMsg(reply) // the client asks again if it does not arrive
}

func (n *nameServer) answer(reply *dns.Msg, question dns.Question) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name := dns.CanonicalName(question.Name)
	n.asked[name]++
	addresses, known := n.table[name]
	if !known {
		reply.Rcode = dns.RcodeNameError
	}
	for _, address := range addresses {
		header := dns.RR_Header{Name: question.Name, Rrtype: question.Qtype, Class: dns.ClassINET, Ttl: 1}
		switch {
		case question.Qtype == dns.TypeA && address.Is4():
			reply.Answer = append(reply.Answer, &dns.A{Hdr: header, A: address.AsSlice()})
		case question.Qtype == dns.TypeAAAA && address.Is6():
			reply.Answer = append(reply.Answer, &dns.AAAA{Hdr: header, AAAA: address.AsSlice()})
		}
	}
}

package dns

import (
	"net"

	"github.com/miekg/dns"
)

// forward asks the machine's resolvers, one after the other, the way the question came: a client that
// gets a truncated answer asks again over TCP.
func (s *Server) forward(w dns.ResponseWriter, question *dns.Msg) {
	select {
	case s.forwards <- struct{}{}:
		defer func() { <-s.forwards }()
	default:
		s.write(w, new(dns.Msg).SetRcode(question, dns.RcodeServerFailure))
		return
	}
	client := &dns.Client{Net: "udp", Timeout: forwardTime, Dialer: s.dialer(), UDPSize: dns.MaxMsgSize}
	if _, tcp := w.RemoteAddr().(*net.TCPAddr); tcp {
		client.Net = "tcp"
	}
	s.write(w, s.ask(client, question))
}

func (s *Server) dialer() *net.Dialer {
	d := net.Dialer{Timeout: forwardTime}
	if s.config.Dialer != nil {
		d.Control = s.config.Dialer.Control
	}
	return &d
}

// ask returns the first answer that is one, else the last that is not.
func (s *Server) ask(client *dns.Client, question *dns.Msg) *dns.Msg {
	failure := new(dns.Msg).SetRcode(question, dns.RcodeServerFailure)
	ours := question.Copy()
	ours.Id = dns.Id() // unpredictable, whatever the application chose
	for _, resolver := range s.config.Resolvers() {
		answer, _, err := client.Exchange(ours, resolver)
		if err != nil {
			s.config.Log.Debug("resolver failed", "resolver", resolver, "err", err)
			continue
		}
		answer.Id = question.Id
		if answer.Rcode != dns.RcodeServerFailure && answer.Rcode != dns.RcodeRefused {
			return answer
		}
		failure = answer
	}
	return failure
}

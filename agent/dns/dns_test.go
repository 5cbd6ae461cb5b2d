package dns

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// serve starts a server on a free port of 127.0.0.1, UDP and TCP, and returns its address.
func serve(t *testing.T, handler func(ctx context.Context, packets net.PacketConn, streams net.Listener)) string {
	t.Helper()
	packets, streams := listenBoth(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); handler(ctx, packets, streams) }()
	t.Cleanup(func() { cancel(); <-done })
	return packets.LocalAddr().String()
}

// listenBoth finds a port that is free for UDP and TCP.
func listenBoth(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 10 {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if streams, err := net.Listen("tcp", packets.LocalAddr().String()); err == nil {
			return packets, streams
		}
		packets.Close() // somebody's TCP
	}
	t.Fatal("no port is free for both")
	return nil, nil
}

// resolver is the machine's own: it knows "known." and answers "big." truncated unless asked over TCP.
func resolver(t *testing.T) string {
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		_, tcp := w.RemoteAddr().(*net.TCPAddr)
		switch name := q.Question[0].Name; {
		case name == "silent.":
			return
		case name == "big." && !tcp:
			m.Truncated = true
		case name == "known." || name == "big.":
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(192, 0, 2, 1)})
		default:
			m.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(m)
	})
	return serve(t, func(ctx context.Context, packets net.PacketConn, streams net.Listener) {
		servers := []*dns.Server{{PacketConn: packets, Handler: handler}, {Listener: streams, Handler: handler}}
		done := make(chan struct{})
		for _, s := range servers {
			go func() { _ = s.ActivateAndServe(); done <- struct{}{} }()
		}
		<-ctx.Done()
		packets.Close()
		streams.Close()
		<-done
		<-done
	})
}

func testServer(t *testing.T, config Config) string {
	config.Workspace, config.Log = "shop", slog.New(slog.DiscardHandler)
	s := New(config)
	s.SetTable(map[string][]netip.Addr{
		"reviews.shop.mesh": {netip.MustParseAddr("240.0.0.1"), netip.MustParseAddr("fd00::1")},
		"vault.bank.mesh":   {netip.MustParseAddr("240.0.0.2")},
		"api.example.com":   {netip.MustParseAddr("240.0.0.3")},
		"*.wild.example":    {netip.MustParseAddr("240.0.0.4")},
	})
	return serve(t, func(ctx context.Context, packets net.PacketConn, streams net.Listener) {
		if err := s.Serve(ctx, packets, streams); err != nil {
			t.Error(err)
		}
	})
}

// ask returns "RCODE address…".
func ask(t *testing.T, network, server, name string, kind uint16) string {
	t.Helper()
	client := dns.Client{Net: network, Timeout: 5 * time.Second}
	answer, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, kind), server)
	if err != nil {
		t.Fatalf("%s %s: %v", network, name, err)
	}
	words := []string{dns.RcodeToString[answer.Rcode]}
	if answer.Truncated {
		words = append(words, "truncated")
	}
	for _, rr := range answer.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			words = append(words, rr.A.String())
		case *dns.AAAA:
			words = append(words, rr.AAAA.String())
		}
	}
	return strings.Join(words, " ")
}

func TestAnswers(t *testing.T) {
	own := resolver(t)
	server := testServer(t, Config{Resolvers: func() []string { return []string{own} }})
	for _, c := range []struct {
		name string
		kind uint16
		want string
	}{
		{"reviews.shop.mesh.", dns.TypeA, "NOERROR 240.0.0.1"},
		{"reviews.shop.mesh.", dns.TypeAAAA, "NOERROR fd00::1"},
		{"reviews.shop.", dns.TypeA, "NOERROR 240.0.0.1"},
		{"ReViews.", dns.TypeA, "NOERROR 240.0.0.1"},
		{"reviews.", dns.TypeMX, "NOERROR"},
		{"vault.bank.", dns.TypeA, "NOERROR 240.0.0.2"},
		{"vault.bank.", dns.TypeAAAA, "NOERROR"},
		{"vault.", dns.TypeA, "NXDOMAIN"},
		{"api.example.com.", dns.TypeA, "NOERROR 240.0.0.3"},
		{"a.b.wild.example.", dns.TypeA, "NOERROR 240.0.0.4"},
		{"known.", dns.TypeA, "NOERROR 192.0.2.1"},
		{"unknown.", dns.TypeA, "NXDOMAIN"},
	} {
		for _, network := range []string{"udp", "tcp"} {
			if got := ask(t, network, server, c.name, c.kind); got != c.want {
				t.Errorf("%s %s %s: %s, want %s", network, c.name, dns.TypeToString[c.kind], got, c.want)
			}
		}
	}
}

func TestLongAnswersComeByTCP(t *testing.T) {
	own := resolver(t)
	server := testServer(t, Config{Resolvers: func() []string { return []string{own} }})
	if got := ask(t, "udp", server, "big.", dns.TypeA); got != "NOERROR truncated" {
		t.Error(got)
	}
	if got := ask(t, "tcp", server, "big.", dns.TypeA); got != "NOERROR 192.0.2.1" {
		t.Error(got)
	}
}

func TestIPv4Only(t *testing.T) {
	server := testServer(t, Config{IPv4Only: true, Resolvers: func() []string { return nil }})
	if got := ask(t, "udp", server, "reviews.", dns.TypeAAAA); got != "NOERROR" {
		t.Error(got)
	}
}

func TestResolversFailOver(t *testing.T) {
	own := resolver(t)
	dead, err := net.ListenPacket("udp", "127.0.0.1:0") // nobody answers
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	server := testServer(t, Config{Resolvers: func() []string { return []string{dead.LocalAddr().String(), own} }})
	if got := ask(t, "udp", server, "known.", dns.TypeA); got != "NOERROR 192.0.2.1" {
		t.Error(got)
	}
	alone := testServer(t, Config{Resolvers: func() []string { return []string{dead.LocalAddr().String()} }})
	if got := ask(t, "udp", alone, "known.", dns.TypeA); got != "SERVFAIL" {
		t.Error(got)
	}
}

func TestTooManyQuestionsAreRefused(t *testing.T) {
	own := resolver(t)
	server := testServer(t, Config{Resolvers: func() []string { return []string{own} }})
	conn, err := net.Dial("udp", server)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	text, err := new(dns.Msg).SetQuestion("silent.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	answered, asked := make(chan struct{}), make(chan struct{})
	go func() { // until there are too many: the network may lose any of them
		defer close(asked)
		for {
			select {
			case <-answered:
				return
			default:
				_, _ = conn.Write(text)
			}
		}
	}()
	defer func() { close(answered); <-asked }()
	answer := make([]byte, 512)
	_ = conn.SetReadDeadline(time.Now().Add(forwardTime / 2)) // before a resolver times out
	n, err := conn.Read(answer)
	if err != nil {
		t.Fatal(err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(answer[:n]); err != nil || m.Rcode != dns.RcodeServerFailure {
		t.Errorf("%v, %v", m, err)
	}
}

func TestResolvConf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	write := func(text string, age time.Duration) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-age)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	resolvers := ResolvConf(path, "127.0.0.1:53")
	if got := resolvers(); len(got) != 0 {
		t.Errorf("without a file: %v", got)
	}
	write("nameserver 127.0.0.1\nnameserver 192.0.2.1\nnameserver fd00::1\n", time.Hour)
	if got := resolvers(); !slices.Equal(got, []string{"192.0.2.1:53", "[fd00::1]:53"}) {
		t.Error(got)
	}
	write("nameserver 192.0.2.2\n", time.Minute)
	if got := fmt.Sprint(resolvers()); got != "[192.0.2.2:53]" {
		t.Error(got)
	}
}

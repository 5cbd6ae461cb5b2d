package cli

import (
	"net"
	"testing"

	"github.com/isthmus-mesh/isthmus/identity"
)

func TestReachable(t *testing.T) {
	for _, c := range []struct{ listen, want string }{
		{"127.0.0.1:15012", "127.0.0.1:15012"},
		{"edge.example.com:15012", "edge.example.com:15012"},
		{"[2001:db8::1]:15012", "[2001:db8::1]:15012"},
	} {
		if got, err := reachable(c.listen, nil); err != nil || got != c.want {
			t.Errorf("reachable(%s) = %s, %v; want %s", c.listen, got, err, c.want)
		}
	}
	for _, wildcard := range []string{":15012", "0.0.0.0:15012", "[::]:15012"} {
		got, err := reachable(wildcard, []string{"127.0.0.1:7444", "no such host:1"})
		host, port, _ := net.SplitHostPort(got)
		if ip := net.ParseIP(host); err != nil || ip == nil || ip.IsUnspecified() || port != "15012" {
			t.Errorf("reachable(%s) = %s, %v; want an address of this machine and the port", wildcard, got, err)
		}
	}
	if got, err := reachable("15012", nil); err == nil {
		t.Errorf("reachable(15012) = %s, want an error", got)
	}
}

func TestHubsOf(t *testing.T) {
	token := identity.Token{Name: "n", Secret: "s", Addresses: []string{"hub:7444"}, Pin: "p"}.String()
	for _, c := range []struct {
		given []string
		token string
		want  int
	}{{nil, "", 0}, {nil, token, 1}, {[]string{"a:1", "b:1"}, token, 2}, {nil, "rubbish", 0}} {
		if got := hubsOf(c.given, c.token); len(got) != c.want {
			t.Errorf("hubsOf(%v, %.9s) = %v, want %d addresses", c.given, c.token, got, c.want)
		}
	}
}

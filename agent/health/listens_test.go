package health

import (
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func TestListens(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		port := uint16(l.Addr().(*net.TCPAddr).Port)
		if found, err := Listens(port); !found || err != nil {
			t.Errorf("%s: %v, %v", l.Addr(), found, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if found, err := Listens(port); found || err != nil {
			t.Errorf("%s is closed: %v, %v", l.Addr(), found, err)
		}
	}
}

// Who listens at the machine's own address only is not whom a check on this machine asks.
func TestListensElsewhere(t *testing.T) {
	for _, c := range []struct {
		family  byte
		address string
		want    bool
	}{
		{unix.AF_INET, "127.0.0.1", true}, {unix.AF_INET, "0.0.0.0", true}, {unix.AF_INET, "10.0.0.1", false},
		{unix.AF_INET6, "::1", true}, {unix.AF_INET6, "::", true}, {unix.AF_INET6, "fd00::1", false},
		{unix.AF_INET6, "::ffff:127.0.0.1", true}, {unix.AF_INET6, "::ffff:10.0.0.1", false},
	} {
		address := make([]byte, 16)
		copy(address, netip.MustParseAddr(c.address).AsSlice())
		if got := isLocal(c.family, address); got != c.want {
			t.Errorf("%s: %v", c.address, got)
		}
	}
}

// A connection is no listener.
func TestListensIsNotConnected(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if found, err := Listens(uint16(conn.LocalAddr().(*net.TCPAddr).Port)); found || err != nil {
		t.Errorf("%v, %v", found, err)
	}
}

func BenchmarkListens(b *testing.B) {
	for b.Loop() {
		_, _ = Listens(1)
	}
}

package health

import (
	"net"
	"testing"
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

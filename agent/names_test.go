package agent

import (
	"net"
	"os"
	"testing"
)

// Sockets that systemd holds are told apart by what they are.
func TestInheritedSockets(t *testing.T) {
	ours, err := listenNames("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ours.packets.Close()
	defer ours.streams.Close()
	var taken nameSocket
	for _, socket := range []interface{ File() (*os.File, error) }{ours.streams.(*net.TCPListener), ours.packets.(*net.UDPConn)} {
		file, err := socket.File()
		if err != nil {
			t.Fatal(err)
		}
		if err := taken.take(file); err != nil {
			t.Fatal(err)
		}
	}
	defer taken.packets.Close()
	defer taken.streams.Close()
	if taken.packets.LocalAddr().String() != ours.packets.LocalAddr().String() || taken.streams.Addr().String() != ours.streams.Addr().String() {
		t.Errorf("%v and %v", taken.packets.LocalAddr(), taken.streams.Addr())
	}
	if got, err := inheritedNames(); got != nil || err != nil {
		t.Errorf("without systemd: %v, %v", got, err)
	}
	if _, err := listenNames(ours.packets.LocalAddr().String()); err == nil {
		t.Error("an address was taken twice")
	}
}

func TestWhereNamesAreAnswered(t *testing.T) {
	for _, c := range []struct {
		dns      string
		redirect bool
		want     string
	}{{"", true, defaultDNS}, {"", false, ""}, {"off", true, ""}, {"127.0.0.1:53", false, "127.0.0.1:53"}} {
		s := Settings{DNS: c.dns}
		if got := s.dnsAddress(c.redirect); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

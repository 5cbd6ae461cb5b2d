package agent

import (
	"os"
	"testing"
)

// Sockets go through files and are the same ones.
func TestSocketsThroughFiles(t *testing.T) {
	ours, err := listenNames("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	files, err := ours.files()
	if err != nil {
		t.Fatal(err)
	}
	closeNames([]nameSocket{*ours})
	taken, err := nameSocketOf(files)
	if err != nil {
		t.Fatal(err)
	}
	defer closeNames([]nameSocket{*taken})
	if address := ours.packets.LocalAddr().String(); taken.packets.LocalAddr().String() != address || taken.streams.Addr().String() != address {
		t.Errorf("%v and %v", taken.packets.LocalAddr(), taken.streams.Addr())
	}
	if _, err := listenNames(taken.streams.Addr().String()); err == nil {
		t.Error("an address was taken twice")
	}
	file, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if s, err := nameSocketOf([]*os.File{file}); err == nil {
		t.Errorf("one file is a pair: %v", s)
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

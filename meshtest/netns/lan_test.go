package netns

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// echo answers every connection to the host with what it sends, until the test ends.
func echo(t *testing.T, h *Host, address netip.Addr) string {
	t.Helper()
	listener, err := h.Listen("tcp", netip.AddrPortFrom(address, 7).String())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(conn, conn); conn.Close() }()
		}
	}()
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

// say sends a text from a host and returns what comes back.
func say(ctx context.Context, h *Host, address, text string) (string, error) {
	conn, err := h.DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	go func() { // for an echo that has to be read before all is written
		io.WriteString(conn, text)
		conn.(*net.TCPConn).CloseWrite()
	}()
	back, err := io.ReadAll(conn)
	return string(back), err
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", cmd.Args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestHostsReachEachOtherByBothFamilies(t *testing.T) {
	lan := New(t)
	a, b := lan.Host("a"), lan.Host("b")
	for _, address := range []netip.Addr{b.IPv4, b.IPv6} {
		if back, err := say(t.Context(), a, echo(t, b, address), "hello"); err != nil || back != "hello" {
			t.Errorf("%s: %q, %v", address, back, err)
		}
	}
}

// What a host hears, it hears from the LAN: nothing of this machine's network leads in.
func TestNothingLeadsIn(t *testing.T) {
	a := New(t).Host("a")
	listener, err := a.Listen("tcp", a.IPv4.String()+":7")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	context.AfterFunc(ctx, func() { listener.Close() })
	go new(net.Dialer).DialContext(ctx, "tcp", listener.Addr().String()) // may find another machine of that address
	if conn, err := listener.Accept(); err == nil {
		t.Errorf("connected from %s, outside", conn.RemoteAddr())
	}
}

func TestCommandsRunOnTheirHost(t *testing.T) {
	lan := New(t)
	a := lan.Host("alpha")
	lan.Name("outside.example", netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"))
	if got := output(t, a.Command(t.Context(), "hostname")); got != "alpha" {
		t.Errorf("host name %q", got)
	}
	if got := output(t, a.CommandAs(t.Context(), 4242, "id", "-u")); got != "4242" {
		t.Errorf("user %q", got)
	}
	if got := output(t, a.Command(t.Context(), "getent", "ahostsv4", "outside.example")); !strings.HasPrefix(got, "192.0.2.1 ") {
		t.Errorf("outside.example is %q", got)
	}
	if lan.Asked("outside.example") == 0 {
		t.Error("the network's name server was not asked")
	}
	if out, err := a.Command(t.Context(), "getent", "hosts", "nowhere.example").Output(); err == nil {
		t.Errorf("nowhere.example is %q", out)
	}
	if mine, _ := os.Hostname(); mine == "alpha" {
		t.Error("the host's name became this machine's")
	}
}

func TestCutHostIsAloneUntilHealed(t *testing.T) {
	lan := New(t)
	a, b, c := lan.Host("a"), lan.Host("b"), lan.Host("c")
	atB, atC := echo(t, b, b.IPv4), echo(t, c, c.IPv4)
	b.Cut()
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := say(short, a, atB, "x"); !errors.Is(err, context.DeadlineExceeded) && !os.IsTimeout(err) {
		t.Errorf("to the cut host: %v, want silence", err)
	}
	if _, err := say(t.Context(), a, atC, "x"); err != nil {
		t.Errorf("a third host is cut too: %v", err)
	}
	b.Heal()
	if back, err := say(t.Context(), a, atB, "again"); err != nil || back != "again" {
		t.Errorf("after healing: %q, %v", back, err)
	}
}

func TestCommandEndsWithItsContextAndReboot(t *testing.T) {
	a := New(t).Host("a")
	ctx, cancel := context.WithCancel(t.Context())
	sleeper := a.Command(ctx, "sh", "-c", "sleep 1000 & sleep 1000")
	other := a.Command(t.Context(), "sleep", "1000")
	for _, cmd := range []*exec.Cmd{sleeper, other} {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := sleeper.Wait(); err == nil {
		t.Error("the command outlived its context")
	}
	output(t, a.Command(t.Context(), "nft", "add", "table", "inet", "old"))
	a.Reboot()
	if err := other.Wait(); err == nil {
		t.Error("the command outlived a reboot")
	}
	if rules := output(t, a.Command(t.Context(), "nft", "list", "ruleset")); rules != "" {
		t.Errorf("firewall after a reboot: %s", rules)
	}
}

func TestCaptureTellsPlaintextFromTLS(t *testing.T) {
	lan := New(t)
	a, b := lan.Host("a"), lan.Host("b")
	capture := lan.Capture()
	for _, address := range []netip.Addr{b.IPv4, b.IPv6} {
		at := echo(t, b, address)
		large := "secret-" + address.String() + strings.Repeat(".", 200_000)
		if back, err := say(t.Context(), a, at, large); err != nil || back != large {
			t.Fatalf("%d bytes back, %v", len(back), err)
		}
		there := capture.Saw("secret-" + address.String())
		if len(there) != 2 || there[0].To.String() != at || there[1].From.String() != at {
			t.Errorf("a text that went to %s and back was seen in %d flows: %v", at, len(there), there)
		}
		for _, flow := range there {
			if flow.TLS() || len(flow.Bytes) < len(large) {
				t.Errorf("flow %v to %v: TLS %v, %d bytes of %d", flow.From, flow.To, flow.TLS(), len(flow.Bytes), len(large))
			}
		}
	}
	if _, err := say(t.Context(), a, echo(t, a, a.IPv4), "\x16\x03\x01handshake"); err != nil {
		t.Fatal(err)
	}
	if _, err := say(t.Context(), b, a.IPv4.String()+":7", "\x16\x03\x01handshake"); err != nil {
		t.Fatal(err)
	}
	if flows := capture.Saw("handshake"); len(flows) != 2 || !flows[0].TLS() || !flows[1].TLS() {
		t.Errorf("flows %v, want there and back, and what a says to itself not on the wire", flows)
	}
}

func TestParseTCPSurvivesAnything(t *testing.T) {
	frame := append(make([]byte, 12), 0x08, 0x00)
	for length := range 80 {
		for _, fill := range []byte{0, 6, 0x45, 0xff} {
			parseTCP(append(frame, bytes.Repeat([]byte{fill}, length)...))
		}
	}
}

func FuzzParseTCP(f *testing.F) {
	f.Add(append(make([]byte, 12), 0x86, 0xdd, 0x60))
	f.Fuzz(func(t *testing.T, frame []byte) {
		if _, _, payload := parseTCP(frame); len(payload) > len(frame) {
			t.Error("payload larger than its frame")
		}
	})
}

func TestNothingIsLeft(t *testing.T) {
	var prefix string
	t.Run("use", func(t *testing.T) {
		lan := New(t)
		prefix = lan.prefix
		if err := lan.Host("a").Command(t.Context(), "sleep", "1000").Start(); err != nil {
			t.Fatal(err)
		}
	})
	if out, _ := exec.Command("ip", "netns", "list").Output(); bytes.Contains(out, []byte(prefix)) {
		t.Errorf("namespaces are left: %s", out)
	}
	if entries, _ := os.ReadDir("/etc/netns"); len(entries) > 0 {
		for _, entry := range entries {
			if strings.HasPrefix(entry.Name(), prefix) {
				t.Errorf("/etc/netns/%s is left", entry.Name())
			}
		}
	}
}

// A namespace whose owner is dead goes, with what runs in it; others stay.
func TestSweepTakesOnlyWhatIsOrphaned(t *testing.T) {
	lan := New(t)
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	orphan := namespace{"ism" + strconv.Itoa(dead.Process.Pid) + ".1-x"}
	lan.must("ip", "netns", "add", orphan.name)
	sleeper := exec.Command("ip", "netns", "exec", orphan.name, "sleep", "1000")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	sweep()
	if err := sleeper.Wait(); err == nil {
		t.Error("what ran in it lives on")
	}
	out, _ := exec.Command("ip", "netns", "list").Output()
	if bytes.Contains(out, []byte(orphan.name)) || !bytes.Contains(out, []byte(lan.ports.name)) {
		t.Errorf("after the sweep: %s", out)
	}
}

// A host that comes must not take the gateway from those that are there: they know it by its Ethernet address.
func TestGatewayStaysWhereItIsWhenHostsCome(t *testing.T) {
	lan := New(t)
	lan.Name("known", gateway4)
	first := lan.Host("first")
	neighbour := func() string {
		lookup := `getent hosts known >/dev/null && ip neighbour show to "$0" | grep -o "lladdr [^ ]*"`
		return output(t, first.Command(t.Context(), "sh", "-c", lookup, gateway4.String()))
	}
	before := neighbour()
	for _, name := range []string{"b", "c", "d", "e", "f", "g", "h", "i"} { // one of nine has the lowest address
		lan.Host(name)
	}
	mac := output(t, exec.Command("ip", "netns", "exec", lan.ports.name, "cat", "/sys/class/net/lan/address"))
	if after := neighbour(); after != before || !strings.HasSuffix(after, mac) {
		t.Errorf("the gateway was at %q, is taken to be at %q, and is at %s", before, after, mac)
	}
}

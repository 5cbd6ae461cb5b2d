package capture

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/meshtest/netns"
)

var update = flag.Bool("update", false, "rewrite the golden text")

// asTool makes the test binary a program that runs on a host of the test's network.
const asTool = "ISTHMUS_CAPTURE_TOOL"

func TestMain(m *testing.M) {
	if tool := os.Getenv(asTool); tool != "" {
		if err := runTool(strings.Fields(tool)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func runTool(words []string) error {
	ctx := context.Background()
	switch words[0] {
	case "listen":
		return listen(words[1], words[2:])
	case "dial":
		return dial(words[1], words[2], words[3:])
	case "load":
		return sample(words[1:]).Load(ctx)
	case "remove":
		return Remove(ctx)
	case "loaded":
		fmt.Printf("%v %v", Loaded(ctx), Available(ctx))
		return nil
	}
	return fmt.Errorf("unknown tool %q", words)
}

// sample are rules with variations.
func sample(variations []string) Rules {
	r := Rules{Ports: []uint32{9080, 9090}, Envoy: 1337, Users: []int{2000}, Except: []int{15012}, DNS: 15053, IPv6: true}
	for _, v := range variations {
		switch v {
		case "ipv4":
			r.IPv6 = false
		case "root":
			r.Users = []int{0, 2000}
		case "all":
			r.Users = nil
		}
	}
	return r
}

// listen answers every connection and packet with its name, until killed.
func listen(name string, addresses []string) error {
	for _, address := range addresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				fmt.Fprint(conn, name)
				conn.Close()
			}
		}()
		packets, err := net.ListenPacket("udp", address)
		if err != nil {
			return err
		}
		go func() {
			question := make([]byte, 64)
			for {
				_, from, err := packets.ReadFrom(question)
				if err != nil {
					return
				}
				_, _ = packets.WriteTo([]byte(name), from)
			}
		}()
	}
	fmt.Println("listening")
	select {}
}

// dial prints who answers. It can be marked, and come from an address.
func dial(network, address string, more []string) error {
	d := net.Dialer{Timeout: 3 * time.Second}
	for _, word := range more {
		if from, err := netip.ParseAddr(word); err == nil {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
		} else {
			d.Control = Mark
		}
	}
	conn, err := d.Dial(network, address)
	if err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Now().Add(3 * time.Second))
	if _, err := fmt.Fprint(conn, "?"); err != nil {
		return err
	}
	answer := make([]byte, 64)
	n, err := conn.Read(answer)
	fmt.Print(string(answer[:n]))
	return err
}

func TestText(t *testing.T) {
	var got strings.Builder
	for _, r := range []Rules{sample(nil), sample([]string{"ipv4", "all"}), {Envoy: 1337}} {
		got.WriteString(r.Text() + "\n")
	}
	const golden = "testdata/rules.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || got.String() != string(want) {
		t.Errorf("%v\ngot:\n%s\nwant:\n%s", err, got.String(), want)
	}
}

// network is a machine with an application and something in Envoy's place, and another machine.
type network struct {
	*testing.T
	machine, other *netns.Host
}

func newNetwork(t *testing.T) network {
	lan := netns.New(t)
	n := network{t, lan.Host("machine"), lan.Host("other")}
	n.serve(n.machine, 1337, "envoy-in", ":15006")
	n.serve(n.machine, 1337, "envoy-out", ":15001")
	n.serve(n.machine, 0, "agent-dns", "127.0.0.1:15053", "[::1]:15053")
	n.serve(n.machine, 2000, "app", ":9080", ":9999")
	n.serve(n.other, 0, "other", ":80", ":22", ":53", ":15012")
	return n
}

func (n network) tool(host *netns.Host, user int, words ...string) *exec.Cmd {
	cmd := host.CommandAs(context.Background(), user, "/proc/self/fd/3")
	program, err := os.Open(os.Args[0]) // in a folder that other users cannot enter
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() { program.Close() })
	cmd.ExtraFiles = []*os.File{program}
	cmd.Env = append(os.Environ(), asTool+"="+strings.Join(words, " "))
	return cmd
}

// serve starts a tool that listens and waits until it does.
func (n network) serve(host *netns.Host, user int, name string, addresses ...string) {
	n.Helper()
	cmd := n.tool(host, user, append([]string{"listen", name}, addresses...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		n.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := io.ReadFull(out, make([]byte, len("listening"))); err != nil {
		n.Fatalf("%s does not listen: %v", name, err)
	}
}

func (n network) on(host *netns.Host, user int, words ...string) string {
	n.Helper()
	out, err := n.tool(host, user, words...).CombinedOutput()
	if err != nil {
		return strings.TrimSpace(string(out)) + " (" + err.Error() + ")"
	}
	return string(out)
}

// expect checks who answers a connection.
func (n network) expect(want string, from *netns.Host, user int, kind string, to netip.Addr, port uint16, more ...string) {
	n.Helper()
	address := netip.AddrPortFrom(to, port).String()
	if got := n.on(from, user, append([]string{"dial", kind, address}, more...)...); got != want {
		n.Errorf("user %d of %s, %s to %s %s: %s answers, want %s", user, from.Name, kind, address, more, got, want)
	}
}

// load loads twice: the second time must change nothing.
func (n network) load(variations ...string) {
	n.Helper()
	for range 2 {
		if out := n.on(n.machine, 0, append([]string{"load"}, variations...)...); out != "" {
			n.Fatal(out)
		}
	}
}

func TestEnvoyReachesTheApplication(t *testing.T) {
	n := newNetwork(t)
	n.load("all")
	n.expect("app", n.machine, 1337, "tcp", n.machine.IPv4, 9080, "127.0.0.6")
	n.expect("app", n.machine, 1337, "tcp", n.machine.IPv6, 9080, "::6")
	if out := n.on(n.machine, 0, "remove"); out != "" {
		t.Fatal(out)
	}
	if out := n.on(n.machine, 1337, "dial", "tcp", "[::1]:9080", "::6"); !strings.Contains(out, "assign requested address") {
		t.Errorf("the address is still there: %s", out)
	}
}

func TestWhoIsLedWhere(t *testing.T) {
	n := newNetwork(t)
	m, o := n.machine, n.other
	if got := n.on(m, 0, "loaded"); got != "false <nil>" {
		t.Fatal(got)
	}
	n.load()
	if got := n.on(m, 0, "loaded"); got != "true <nil>" {
		t.Fatal(got)
	}
	for _, to := range []struct{ machine, other netip.Addr }{{m.IPv4, o.IPv4}, {m.IPv6, o.IPv6}} {
		n.expect("envoy-in", o, 2000, "tcp", to.machine, 9080)
		n.expect("app", o, 2000, "tcp", to.machine, 9999) // nobody declared it
		n.expect("envoy-out", m, 2000, "tcp", to.other, 80)
		n.expect("other", m, 2000, "tcp", to.other, 22)
		n.expect("other", m, 2000, "tcp", to.other, 15012)
		n.expect("other", m, 0, "tcp", to.other, 80)
		n.expect("other", m, 1337, "tcp", to.other, 80)
		n.expect("other", m, 3000, "tcp", to.other, 80)
		n.expect("agent-dns", m, 2000, "udp", to.other, 53)
		n.expect("agent-dns", m, 2000, "tcp", to.other, 53)
		n.expect("other", m, 0, "udp", to.other, 53)
		n.expect("envoy-in", m, 1337, "tcp", to.machine, 9080) // its own service
		n.expect("app", m, 2000, "tcp", to.machine, 9080)
	}
	n.expect("app", m, 1337, "tcp", netip.MustParseAddr("127.0.0.1"), 9080)
	n.expect("agent-dns", m, 2000, "udp", netip.MustParseAddr("127.0.0.53"), 53)
	n.expect("envoy-out", m, 2000, "tcp", netip.MustParseAddr("240.1.2.3"), 9080) // an address of the mesh
}

func TestRootCanBeAnApplication(t *testing.T) {
	n := newNetwork(t)
	n.load("root")
	n.expect("envoy-out", n.machine, 0, "tcp", n.other.IPv4, 80)
	n.expect("other", n.machine, 0, "tcp", n.other.IPv4, 80, "marked")
	n.expect("other", n.machine, 0, "udp", n.other.IPv4, 53, "marked")
	n.expect("other", n.machine, 1337, "tcp", n.other.IPv4, 80)
}

func TestAllButRoot(t *testing.T) {
	n := newNetwork(t)
	n.load("all")
	n.expect("envoy-out", n.machine, 3000, "tcp", n.other.IPv4, 80)
	n.expect("other", n.machine, 0, "tcp", n.other.IPv4, 80)
	n.expect("other", n.machine, 1337, "tcp", n.other.IPv4, 80)
}

func TestIPv4OnlyEnvoy(t *testing.T) {
	n := newNetwork(t)
	n.load("ipv4")
	n.expect("envoy-out", n.machine, 2000, "tcp", n.other.IPv4, 80)
	n.expect("other", n.machine, 2000, "tcp", n.other.IPv6, 80)
	n.expect("envoy-in", n.other, 0, "tcp", n.machine.IPv6, 9080) // never past Envoy
}

func TestRemove(t *testing.T) {
	n := newNetwork(t)
	n.load()
	for range 2 {
		if out := n.on(n.machine, 0, "remove"); out != "" {
			t.Fatal(out)
		}
	}
	n.expect("app", n.other, 0, "tcp", n.machine.IPv4, 9080)
	n.expect("other", n.machine, 2000, "tcp", n.other.IPv4, 80)
	if got := n.on(n.machine, 2000, "loaded"); got != "false nftables needs root" {
		t.Error(got)
	}
}

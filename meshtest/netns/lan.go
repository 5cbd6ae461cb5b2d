// Package netns makes a small network out of Linux network namespaces, for tests of what machines
// do to each other: every [Host] has its own addresses, routes, firewall, name servers and host
// name, and processes on it see nothing else. Disks and users are this machine's.
//
//	lan := netns.New(t)
//	a, b := lan.Host("a"), lan.Host("b")
//	out, err := a.Command(t.Context(), "ping", "-c1", b.IPv4.String()).CombinedOutput()
//
// A [LAN] is one link: hosts reach each other and the gateway, which is a name server and drops
// everything else. A cable can be cut and healed; from one host to another [LAN.Delay], [LAN.Lose] and
// [LAN.Cut] spoil one way; and [LAN.Capture] sees every frame. All of it goes away with the test; what a
// killed test left is swept by the next one.
//
// It needs root, ip (iproute2), nft (nftables), unshare and setpriv (util-linux): [Require] fails or
// skips without. Methods may be called from any goroutine.
package netns

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// Require ends a test that cannot have its network: it fails with CI=true, else it skips, saying why.
func Require(t testing.TB) {
	t.Helper()
	lack := missing()
	switch {
	case lack == "":
	case os.Getenv("CI") == "true":
		t.Fatalf("this test makes machines of network namespaces and needs %s", lack)
	default:
		t.Skipf("NOT RUN: this test makes machines of network namespaces and needs %s", lack)
	}
}

func missing() string {
	if os.Geteuid() != 0 {
		return "root (sudo make test)"
	}
	for program, pack := range map[string]string{"ip": "iproute2", "nft": "nftables", "unshare": "util-linux", "setpriv": "util-linux"} {
		if _, err := exec.LookPath(program); err != nil {
			return program + ", of the package " + pack
		}
	}
	return ""
}

// LAN is a link with hosts on it.
type LAN struct {
	t      testing.TB
	prefix string // of the names of its namespaces
	ports  namespace
	names  *nameServer

	mu    sync.Mutex
	hosts []*Host

	wiring sync.Mutex // guards what follows
	faults map[way]fault
	wires  map[way]*wire
}

// Addresses of the gateway; hosts count up from here.
var (
	gateway4 = netip.MustParseAddr("10.77.0.1")
	gateway6 = netip.MustParseAddr("fd77::1")
)

// gatewayMAC is fixed, because a bridge left to itself takes the lowest of its ports': when a host comes with a lower
// one, the others send what is for the gateway to where nobody is, until their neighbour tables expire.
const gatewayMAC = "02:49:53:4d:00:01"

var lans atomic.Int32 // made by this process

// New makes a link with a gateway and no host; it lasts until the test ends. The gateway answers names that
// [LAN.Name] gives, so the network has a DNS that knows nothing of a mesh.
func New(t testing.TB) *LAN {
	t.Helper()
	Require(t)
	sweep()
	l := &LAN{t: t, prefix: fmt.Sprintf("ism%d.%d-", os.Getpid(), lans.Add(1)), faults: map[way]fault{}, wires: map[way]*wire{}}
	l.ports = l.namespace("lan")
	t.Cleanup(l.close)
	l.must("ip", "-n", l.ports.name, "link", "add", "lan", "address", gatewayMAC, "type", "bridge")
	l.must("ip", "-n", l.ports.name, "address", "add", gateway4.String()+"/24", "dev", "lan")
	l.must("ip", "-n", l.ports.name, "address", "add", gateway6.String()+"/64", "dev", "lan", "nodad")
	l.must("ip", "-n", l.ports.name, "link", "set", "lan", "up")
	names, err := startNames(l.ports)
	if err != nil {
		t.Fatalf("the network's name server: %v", err)
	}
	l.names = names
	return l
}

// Gateway is the address of the gateway and its name server.
func (l *LAN) Gateway() netip.Addr { return gateway4 }

// Host connects another machine. The name must be good as a host name of ten letters at most.
func (l *LAN) Host(name string) *Host {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	h := &Host{lan: l, Name: name, IPv4: gateway4, IPv6: gateway6}
	for range len(l.hosts) + 1 {
		h.IPv4, h.IPv6 = h.IPv4.Next(), h.IPv6.Next()
	}
	h.space = l.namespace(name)
	h.plug()
	l.hosts = append(l.hosts, h)
	return h
}

// Name has the gateway's name server answer a name with addresses.
func (l *LAN) Name(name string, addresses ...netip.Addr) { l.names.set(name, addresses) }

// Asked returns how often the gateway's name server was asked for a name.
func (l *LAN) Asked(name string) int { return l.names.askedFor(name) }

func (l *LAN) namespace(name string) namespace {
	l.t.Helper()
	space := namespace{l.prefix + name}
	l.must("ip", "netns", "add", space.name)
	l.must("ip", "-n", space.name, "link", "set", "lo", "up")
	return space
}

// close ends everything that runs on the hosts, then the hosts.
func (l *LAN) close() {
	if l.names != nil {
		l.names.close()
	}
	for w := range l.wires {
		l.unwire(w)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.hosts {
		h.killAll()
		h.space.remove()
	}
	l.ports.remove()
}

func (l *LAN) must(name string, args ...string) {
	l.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		l.t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// sweep removes the namespaces of test processes that are no more.
func sweep() {
	out, _ := exec.Command("ip", "netns", "list").Output() // nothing is listed where none was ever made
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		owner, isOurs := strings.CutPrefix(name, "ism")
		number, _, _ := strings.Cut(owner, ".")
		pid, err := strconv.Atoi(number)
		if isOurs && err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			space := namespace{name}
			space.killAll()
			space.remove()
		}
	}
}

package netns

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Host is a machine on a LAN.
type Host struct {
	// Name is its host name.
	Name string
	// IPv4 and IPv6 are its addresses on the LAN.
	IPv4, IPv6 netip.Addr

	lan   *LAN
	space namespace
	cut   atomic.Bool // its cable is out of the switch
}

// plug lays the cable: a pair of devices, one end on the host, one in the bridge.
func (h *Host) plug() {
	l, here, there := h.lan, h.space.name, h.lan.ports.name
	l.must("ip", "-n", here, "link", "add", "eth0", "type", "veth", "peer", "name", h.port(), "netns", there)
	l.must("ip", "-n", there, "link", "set", h.port(), "master", "lan", "up")
	h.up()
	h.SetResolvers(gateway4)
}

// up gives the addresses: Linux forgets IPv6 ones and routes when a link goes down.
func (h *Host) up() {
	here := h.space.name
	h.lan.must("ip", "-n", here, "link", "set", "eth0", "up")
	h.lan.must("ip", "-n", here, "address", "replace", h.IPv4.String()+"/24", "dev", "eth0")
	h.lan.must("ip", "-n", here, "address", "replace", h.IPv6.String()+"/64", "dev", "eth0", "nodad")
	h.lan.must("ip", "-n", here, "route", "replace", "default", "via", gateway4.String())
	h.lan.must("ip", "-n", here, "-6", "route", "replace", "default", "via", gateway6.String())
}

// port is the name of the bridge's end of the cable.
func (h *Host) port() string { return "port-" + h.Name }

// Cut pulls the cable out of the switch: nobody is told, packets just stop.
func (h *Host) Cut() {
	h.lan.t.Helper()
	h.cut.Store(true)
	h.lan.must("bridge", "-n", h.lan.ports.name, "link", "set", "dev", h.port(), "state", "0")
}

// Heal puts the cable back.
func (h *Host) Heal() {
	h.lan.t.Helper()
	h.lan.must("bridge", "-n", h.lan.ports.name, "link", "set", "dev", h.port(), "state", "3")
	h.cut.Store(false)
}

// SetResolvers writes the host's /etc/resolv.conf.
func (h *Host) SetResolvers(servers ...netip.Addr) {
	h.lan.t.Helper()
	var text strings.Builder
	for _, server := range servers {
		text.WriteString("nameserver " + server.String() + "\n")
	}
	h.WriteEtc("resolv.conf", text.String())
}

// WriteEtc writes a file that processes started from now on see in /etc.
func (h *Host) WriteEtc(name, text string) {
	h.lan.t.Helper()
	err := os.MkdirAll(h.space.etc(), 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(h.space.etc(), name), []byte(text), 0o644)
	}
	if err != nil {
		h.lan.t.Fatal(err)
	}
}

// Command is a command to run on the host as root. It leads a process group of its own, and its
// pid is the program's. If the test process dies, so does it.
func (h *Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return h.command(ctx, nil, name, args)
}

// NetNS is the name of the host's network namespace, for people who type "ip netns exec".
func (h *Host) NetNS() string { return h.space.name }

// CommandAs is Command for another user.
func (h *Host) CommandAs(ctx context.Context, uid int, name string, args ...string) *exec.Cmd {
	id := strconv.Itoa(uid)
	return h.command(ctx, []string{"setpriv", "--reuid=" + id, "--regid=" + id, "--clear-groups", "--pdeathsig=KILL", "--"}, name, args)
}

// command is a chain of programs each of which becomes the next.
func (h *Host) command(ctx context.Context, as []string, name string, args []string) *exec.Cmd {
	chain := []string{"netns", "exec", h.space.name, "unshare", "--uts", "sh", "-c", `hostname "$0" && exec "$@"`, h.Name}
	chain = append(append(append(chain, as...), name), args...)
	cmd := exec.CommandContext(ctx, "ip", chain...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

// Reboot kills everything that runs on the host and clears its firewall. Disks stay.
func (h *Host) Reboot() {
	h.lan.t.Helper()
	h.killAll()
	h.lan.must("ip", "netns", "exec", h.space.name, "nft", "flush", "ruleset")
}

func (h *Host) killAll() { h.space.killAll() }

// DialContext connects from the host; it fits http.Transport. The address must be numeric.
func (h *Host) DialContext(ctx context.Context, network, address string) (conn net.Conn, err error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, err // a name would be looked up on another thread, outside
	}
	err = h.space.do(func() error {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Listen listens on the host. The address must be numeric.
func (h *Host) Listen(network, address string) (listener net.Listener, err error) {
	err = h.space.do(func() error {
		listener, err = net.Listen(network, address)
		return err
	})
	return listener, err
}

// Remove takes the host away for good, with everything that runs on it. Its addresses are not given again.
func (h *Host) Remove() {
	h.killAll()
	h.space.remove()
}

// Package capture makes the kernel lead an application's connections through Envoy, with one nftables
// table of our own, for IPv4 and IPv6 alike.
//
// Inbound, the ports the workload serves are redirected, so nobody outside reaches them past Envoy;
// ports nobody declared stay as they are. Outbound, connections of the application's users are
// redirected; those of root, of Envoy and of the agent are not, unless root is named as application,
// and then the agent's are still left alone by their mark. DNS questions of the same users go to the
// agent.
//
// Loading is one transaction of nft and replaces what was loaded before. For IPv6 the loopback device gets an
// address too, from which Envoy connects to the application.
package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The ports of Istio's configuration for redirected traffic.
const (
	outboundPort = 15001
	inboundPort  = 15006
)

// table is the name of our table.
const table = "isthmus"

// mark is on the agent's own packets.
const mark = 0x15715

// Rules say what is captured.
type Rules struct {
	// Ports the workload serves.
	Ports []uint32
	// Envoy is Envoy's uid.
	Envoy int
	// Users whose connections are captured; empty means all but root and Envoy.
	Users []int
	// Except are ports that are never captured outbound, beside ssh.
	Except []int
	// DNS is the port at which the agent answers questions; 0 leaves them alone.
	DNS int
	// IPv6 tells that Envoy takes IPv6 connections of the application. If not, they leave the machine
	// as they are; inbound ones never pass Envoy by.
	IPv6 bool
}

// Text is the rules as nft reads them. Equal rules give equal text.
func (r Rules) Text() string {
	lines := []string{
		"table inet " + table,
		"delete table inet " + table,
		"table inet " + table + " {",
	}
	lines = append(lines, r.inbound()...)
	lines = append(lines, r.outbound()...)
	return strings.Join(append(lines, "}"), "\n") + "\n"
}

func (r Rules) inbound() []string {
	lines := []string{"\tchain inbound {", "\t\ttype nat hook prerouting priority dstnat; policy accept;"}
	if len(r.Ports) > 0 {
		lines = append(lines, fmt.Sprintf("\t\ttcp dport %s redirect to :%d", set(r.Ports), inboundPort))
	}
	return append(lines, "\t}")
}

func (r Rules) outbound() []string {
	lines := []string{"\tchain outbound {", "\t\ttype nat hook output priority -100; policy accept;"}
	add := func(format string, args ...any) { lines = append(lines, "\t\t"+fmt.Sprintf(format, args...)) }
	add("oifname \"lo\" ip saddr 127.0.0.6 return comment \"Envoy to the application\"")
	add("oifname \"lo\" ip6 saddr ::6 return")
	if len(r.Ports) > 0 { // the workload calls its own service
		add("oifname \"lo\" meta skuid %d ip daddr != 127.0.0.0/8 tcp dport %s redirect to :%d", r.Envoy, set(r.Ports), inboundPort)
		add("oifname \"lo\" meta skuid %d ip6 daddr != ::1 tcp dport %s redirect to :%d", r.Envoy, set(r.Ports), inboundPort)
	}
	add("meta skuid %d return comment \"Envoy\"", r.Envoy)
	add("meta mark %#x return comment \"the agent\"", mark)
	if r.DNS != 0 {
		add("%s meta l4proto { tcp, udp } th dport 53 redirect to :%d", r.users(), r.DNS)
	}
	add("ip daddr 127.0.0.0/8 return")
	add("ip6 daddr ::1 return")
	add("oifname \"lo\" return")
	add("tcp dport %s return comment \"not for the mesh\"", set(append([]int{22}, r.Except...)))
	if !r.IPv6 {
		add("meta nfproto ipv6 return")
	}
	add("%s meta l4proto tcp redirect to :%d", r.users(), outboundPort)
	return append(lines, "\t}")
}

// users matches the connections that are captured.
func (r Rules) users() string {
	if len(r.Users) == 0 {
		return fmt.Sprintf("meta skuid != %s", set([]int{0, r.Envoy}))
	}
	return "meta skuid " + set(r.Users)
}

// set writes a set, sorted.
func set[N int | uint32](numbers []N) string {
	numbers = slices.Compact(slices.Sorted(slices.Values(numbers)))
	var texts []string
	for _, n := range numbers {
		texts = append(texts, strconv.FormatInt(int64(n), 10))
	}
	return "{ " + strings.Join(texts, ", ") + " }"
}

// Load makes the kernel follow the rules, all at once or not at all. With IPv6 it first gives the loopback device
// the address that the rules speak of.
func (r Rules) Load(ctx context.Context) error {
	if r.IPv6 {
		if err := addLoopback(ctx); err != nil {
			return err
		}
	}
	return nft(ctx, r.Text())
}

// Loaded tells whether our table is there.
func Loaded(ctx context.Context) bool {
	return exec.CommandContext(ctx, "nft", "list", "table", "inet", table).Run() == nil
}

// Remove takes our table and our address away; it is no error if there is none.
func Remove(ctx context.Context) error {
	dropLoopback(ctx)
	return nft(ctx, "table inet "+table+"\ndelete table inet "+table+"\n")
}

// Available tells why rules cannot be loaded here; nil if they can.
func Available(ctx context.Context) error {
	if _, err := exec.LookPath("nft"); err != nil {
		return errors.New("nft is not installed (package nftables)")
	}
	if err := exec.CommandContext(ctx, "nft", "list", "tables").Run(); err != nil {
		return errors.New("nftables needs root")
	}
	return nil
}

func nft(ctx context.Context, text string) error {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(text)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, strings.TrimSpace(output.String()))
	}
	return nil
}

// Mark marks a socket as the agent's own, for [net.Dialer.Control]. It needs CAP_NET_ADMIN.
func Mark(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, mark)
	})
	return errors.Join(err, failed)
}

package netns

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Capture is everything that went over a LAN by TCP since it was begun.
type Capture struct {
	socket  *os.File
	reading sync.WaitGroup

	mu    sync.Mutex
	flows map[[2]netip.AddrPort]*bytes.Buffer
	lost  error
}

// Flow is one direction of a TCP connection, or of several that used the same ports.
type Flow struct {
	From, To netip.AddrPort
	// Bytes are the payloads as they passed; what was sent again is there again.
	Bytes []byte
}

// TLS is whether the flow begins with a TLS record of a handshake (RFC 8446 5.1).
func (f Flow) TLS() bool { return len(f.Bytes) >= 3 && f.Bytes[0] == 22 && f.Bytes[1] == 3 }

// Capture begins to record. It ends with the test.
func (l *LAN) Capture() *Capture {
	l.t.Helper()
	c := &Capture{flows: map[[2]netip.AddrPort]*bytes.Buffer{}}
	if err := l.ports.do(c.open); err != nil {
		l.t.Fatalf("capturing: %v", err)
	}
	c.reading.Go(c.read)
	l.t.Cleanup(func() { c.close(l.t) })
	return c
}

// receiveBuffer is what the kernel keeps for us while we are not scheduled.
const receiveBuffer = 64 << 20

// open makes a packet socket that sees every device of the namespace.
func (c *Capture) open() error {
	all := int(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL)))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, all)
	if err != nil {
		return err
	}
	c.socket = os.NewFile(uintptr(fd), "capture")
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer)
}

func (c *Capture) read() {
	raw, err := c.socket.SyscallConn()
	for frame := make([]byte, 1<<17); err == nil; { // the kernel hands over segments of up to 64 KiB
		var failed error
		err = raw.Read(func(fd uintptr) bool {
			failed = c.receive(int(fd), frame)
			return failed != unix.EAGAIN
		})
		err = cmp.Or(err, failed)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) { // which is how close ends it
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lost = err
	}
}

// receive takes a frame off the socket and records it, under one lock: who holds the lock and finds
// the socket empty knows that everything is recorded.
func (c *Capture) receive(fd int, frame []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	length, from, err := unix.Recvfrom(fd, frame, 0)
	if err != nil {
		return err
	}
	// A frame is seen as it comes in at a port, and again as it goes out at others.
	if link, ok := from.(*unix.SockaddrLinklayer); ok && link.Pkttype != unix.PACKET_OUTGOING {
		c.add(frame[:length])
	}
	return nil
}

func (c *Capture) add(frame []byte) {
	from, to, payload := parseTCP(frame)
	if len(payload) == 0 {
		return
	}
	key := [2]netip.AddrPort{from, to}
	if c.flows[key] == nil {
		c.flows[key] = new(bytes.Buffer)
	}
	c.flows[key].Write(payload)
}

// close fails the test if the record has holes: what it does not show proves nothing then.
func (c *Capture) close(t testing.TB) {
	dropped := c.dropped()
	c.socket.SetReadDeadline(time.Unix(0, 1))
	c.reading.Wait()
	c.socket.Close()
	if c.lost != nil || dropped > 0 {
		t.Errorf("the capture has holes: %d frames dropped, %v", dropped, c.lost)
	}
}

func (c *Capture) dropped() (count uint32) {
	raw, err := c.socket.SyscallConn()
	if err != nil {
		return 0
	}
	raw.Control(func(fd uintptr) {
		if stats, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			count = stats.Drops
		}
	})
	return count
}

// lock takes the lock when all frames that have passed so far are recorded.
func (c *Capture) lock() {
	for c.mu.Lock(); c.pending(); c.mu.Lock() {
		c.mu.Unlock()
		runtime.Gosched()
	}
}

func (c *Capture) pending() (some bool) {
	raw, err := c.socket.SyscallConn()
	if err == nil {
		raw.Control(func(fd uintptr) {
			size, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ) // of the next frame
			some = err == nil && size > 0
		})
	}
	return some
}

// Flows returns what was captured up to now, ordered by addresses.
func (c *Capture) Flows() (flows []Flow) {
	c.lock()
	defer c.mu.Unlock()
	for key, payload := range c.flows {
		flows = append(flows, Flow{key[0], key[1], bytes.Clone(payload.Bytes())})
	}
	slices.SortFunc(flows, func(a, b Flow) int {
		if order := a.From.Compare(b.From); order != 0 {
			return order
		}
		return a.To.Compare(b.To)
	})
	return flows
}

// Saw returns the flows in which a text passed.
func (c *Capture) Saw(text string) []Flow {
	return slices.DeleteFunc(c.Flows(), func(f Flow) bool { return !bytes.Contains(f.Bytes, []byte(text)) })
}

// parseTCP takes an Ethernet frame apart; what is not TCP has no payload. Extension headers of IPv6 are not
// used on these links.
func parseTCP(frame []byte) (from, to netip.AddrPort, payload []byte) {
	const ethernet = 14
	if len(frame) < ethernet {
		return
	}
	packet := frame[ethernet:]
	switch binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_IP:
		return parseIPv4(packet)
	case unix.ETH_P_IPV6:
		return parseIPv6(packet)
	}
	return
}

func parseIPv4(packet []byte) (from, to netip.AddrPort, payload []byte) {
	if len(packet) < 20 || packet[9] != unix.IPPROTO_TCP {
		return
	}
	header, total := int(packet[0]&15)*4, int(binary.BigEndian.Uint16(packet[2:]))
	if total == 0 || total > len(packet) { // 0: a segment the device was to cut
		total = len(packet)
	}
	if header > total {
		return
	}
	return parseSegment(netip.AddrFrom4([4]byte(packet[12:])), netip.AddrFrom4([4]byte(packet[16:])), packet[header:total])
}

func parseIPv6(packet []byte) (from, to netip.AddrPort, payload []byte) {
	const header = 40
	if len(packet) < header || packet[6] != unix.IPPROTO_TCP {
		return
	}
	end := header + int(binary.BigEndian.Uint16(packet[4:]))
	if end == header || end > len(packet) {
		end = len(packet)
	}
	return parseSegment(netip.AddrFrom16([16]byte(packet[8:])), netip.AddrFrom16([16]byte(packet[24:])), packet[header:end])
}

func parseSegment(source, target netip.Addr, segment []byte) (from, to netip.AddrPort, payload []byte) {
	if len(segment) < 20 || int(segment[12]>>4)*4 > len(segment) {
		return
	}
	from = netip.AddrPortFrom(source, binary.BigEndian.Uint16(segment))
	to = netip.AddrPortFrom(target, binary.BigEndian.Uint16(segment[2:]))
	return from, to, segment[int(segment[12]>>4)*4:]
}

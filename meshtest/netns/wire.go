package netns

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// wire carries frames one way between two ports of the switch, as its fault says. It sees what comes into the one
// port and writes to the other, past the switch.
type wire struct {
	way     way
	fault   fault
	in, out *os.File
	to      net.HardwareAddr // of the host at its end
	queue   chan held
	running sync.WaitGroup
	failed  error // of reading; read after running has ended
}

// held is a frame on its way.
type held struct {
	frame []byte
	due   time.Time
}

// wireLength is how many frames may be on a wire; more are dropped, as a full switch does.
const wireLength = 1 << 14

func (l *LAN) startWire(w way, f fault) (*wire, error) {
	wire := &wire{way: w, fault: f, queue: make(chan held, wireLength)}
	err := w.to.space.do(func() error {
		device, err := net.InterfaceByName("eth0")
		if err == nil {
			wire.to = device.HardwareAddr
		}
		return err
	})
	if err == nil {
		err = l.ports.do(wire.open)
	}
	if err != nil {
		return nil, err
	}
	wire.running.Go(wire.receive)
	wire.running.Go(wire.deliver)
	return wire, nil
}

func (w *wire) open() (err error) {
	if w.in, err = portSocket(w.way.from.port(), unix.ETH_P_ALL); err == nil {
		w.out, err = portSocket(w.way.to.port(), 0) // which hears nothing
	}
	return err
}

// portSocket is a packet socket of a port. Its frames begin with a header that says what the kernel has left
// undone: checksums, and cutting a bundle into packets (struct virtio_net_hdr, PACKET_VNET_HDR in packet(7)).
func portSocket(port string, protocol uint16) (*os.File, error) {
	device, err := net.InterfaceByName(port)
	if err != nil {
		return nil, err
	}
	protocol = binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, protocol))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	socket := os.NewFile(uintptr(fd), port)
	return socket, errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: device.Index}))
}

// vnetHeader is the length of what comes before a frame; the address it is for is the frame's first field.
const vnetHeader = 10

func (w *wire) receive() {
	defer close(w.queue)
	for buffer := make([]byte, 1<<17); ; {
		n, err := w.in.Read(buffer)
		if err != nil {
			w.failed = err
			return
		}
		if frame := buffer[:n]; w.carries(frame) {
			select {
			case w.queue <- held{append([]byte(nil), frame...), time.Now().Add(w.fault.delay)}:
			default:
			}
		}
	}
}

// carries is whether a frame is for the wire's end, or for everybody, and is not lost.
func (w *wire) carries(frame []byte) bool {
	if len(frame) < vnetHeader+14 {
		return false
	}
	to := frame[vnetHeader : vnetHeader+6]
	forAll := to[0]&1 == 1
	connected := !w.way.from.cut.Load() && !w.way.to.cut.Load()
	return connected && (forAll || bytes.Equal(to, w.to)) && rand.Float64() >= w.fault.loss
}

// deliver writes frames when they are due, one after the other.
func (w *wire) deliver() {
	for h := range w.queue {
		time.Sleep(time.Until(h.due))
		w.out.Write(h.frame) // what the other end does not take is lost, as on any wire
	}
}

// close ends the wire; what is on it arrives first. One whose host was removed has ended by itself.
func (w *wire) close(t testing.TB) {
	w.in.Close()
	w.running.Wait()
	w.out.Close()
	if !errors.Is(w.failed, os.ErrClosed) && !errors.Is(w.failed, unix.ENETDOWN) {
		t.Errorf("a wire broke: %v", w.failed)
	}
}

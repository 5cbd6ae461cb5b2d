package health

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Sizes and numbers of the kernel's sock_diag(7).
const (
	byFamily    = 20 // SOCK_DIAG_BY_FAMILY
	stateListen = 10 // TCP_LISTEN
	requestSize = unix.SizeofNlMsghdr + 56
)

// Listens asks the kernel whether anybody listens on a TCP port at a loopback address of this machine. The application notices nothing of it, and
// it costs a few microseconds, so that it can be asked far more often than the application.
func Listens(port uint16) (bool, error) {
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		found, err := listens(family, port)
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}

func listens(family byte, port uint16) (found bool, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return false, fmt.Errorf("who listens: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, listenersOf(family), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return false, fmt.Errorf("who listens: %w", err)
	}
	buffer := make([]byte, 32<<10)
	for {
		n, _, err := unix.Recvfrom(fd, buffer, 0)
		if err != nil {
			return false, fmt.Errorf("who listens: %w", err)
		}
		found, done, err := among(buffer[:n], port)
		if found || done || err != nil {
			return found, err
		}
	}
}

// listenersOf is the request for all sockets of a family that listen.
func listenersOf(family byte) []byte {
	request := make([]byte, requestSize)
	binary.NativeEndian.PutUint32(request, requestSize)
	binary.NativeEndian.PutUint16(request[4:], byFamily)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	body := request[unix.SizeofNlMsghdr:]
	body[0], body[1] = family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(body[4:], 1<<stateListen)
	return request
}

var errDiag = errors.New("who listens: the kernel does not say")

// among looks for a port in a part of the answer; done tells that it was the last.
func among(answer []byte, port uint16) (found, done bool, err error) {
	for len(answer) >= unix.SizeofNlMsghdr {
		size := int(binary.NativeEndian.Uint32(answer))
		if size < unix.SizeofNlMsghdr || size > len(answer) {
			return false, false, errDiag
		}
		switch binary.NativeEndian.Uint16(answer[4:]) {
		case unix.NLMSG_DONE:
			return false, true, nil
		case unix.NLMSG_ERROR:
			return false, false, errDiag
		}
		// Four bytes of family, state and timers, the port in network order, the other side's, the address.
		if at := unix.SizeofNlMsghdr + 4; size >= at+20 && binary.BigEndian.Uint16(answer[at:]) == port && isLocal(answer[at-4], answer[at+4:at+20]) {
			return true, false, nil
		}
		answer = answer[min(len(answer), (size+3)&^3):]
	}
	return false, false, nil
}

// isLocal tells whether who listens at an address is reached by a loopback address. A proxy may listen on the same port
// at the machine's own address.
func isLocal(family byte, address []byte) bool {
	if family == unix.AF_INET {
		address = address[:4]
	}
	a, _ := netip.AddrFromSlice(address)
	a = a.Unmap()
	return a.IsUnspecified() || a.IsLoopback()
}

package attend

import (
	"context"
	"crypto/tls"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// Bounds after which a connection to an edge that went away without a word is given up: after seven seconds, which is before
// the edge, if it is only the way to it that is cut, misses its agents and tells its siblings.
const (
	dialTime     = 3 * time.Second
	keepIdle     = 3 * time.Second
	keepEvery    = 2 * time.Second
	keepProbes   = 2
	unackedLimit = 7 * time.Second
)

// Dialer dials edges. The kernel, not the edge, notices a peer that went silent. control may set
// further options of the socket; nil sets none.
func Dialer(control func(network, address string, c syscall.RawConn) error) *net.Dialer {
	return &net.Dialer{
		Timeout:         dialTime,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepIdle, Interval: keepEvery, Count: keepProbes},
		Control: func(network, address string, c syscall.RawConn) error {
			if control != nil {
				if err := control(network, address, c); err != nil {
					return err
				}
			}
			var failed error
			err := c.Control(func(fd uintptr) {
				failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unackedLimit.Milliseconds()))
			})
			if err != nil {
				return err
			}
			return failed
		},
	}
}

// Connect makes a connection to an edge. It is dialled when first used.
func Connect(edge string, config *tls.Config, dial func(ctx context.Context, network, address string) (net.Conn, error)) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+edge,
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return dial(ctx, "tcp", address) }),
	)
}

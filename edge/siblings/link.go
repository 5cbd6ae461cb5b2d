package siblings

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// responseBytes is the largest message of a sibling: its whole roster.
const responseBytes = 64 << 20

// link follows one sibling.
type link struct {
	config    Config
	name      string
	addresses []string
	ctx       context.Context // ends with end
	end       context.CancelFunc

	mu   sync.Mutex
	conn *grpc.ClientConn // nil while the sibling is not followed
}

func newLink(ctx context.Context, config Config, name string, addresses []string) *link {
	l := &link{config: config, name: name, addresses: addresses}
	l.ctx, l.end = context.WithCancel(ctx)
	return l
}

// run follows, at one address after the other, until end.
func (l *link) run() {
	defer l.end()
	told := false // a sibling that stays away is told of once
	for next, failures := 0, 0; l.ctx.Err() == nil; next, failures = next+1, failures+1 {
		followed, err := l.follow(l.addresses[next%len(l.addresses)])
		if followed {
			l.config.Roster.Lost(l.name)
			told, failures = false, 0
		}
		if !told && l.ctx.Err() == nil {
			l.config.Log.Warn("a sibling edge cannot be heard; its workloads are looked after here", "sibling", l.name, "err", err)
			told = true
		}
		select {
		case <-time.After(feed.Backoff(failures)):
		case <-l.ctx.Done():
		}
	}
}

// follow tells the roster what the sibling says, until the stream ends. It reports whether it said anything.
func (l *link) follow(address string) (followed bool, err error) {
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(l.config.TLS(l.name))),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(responseBytes)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}))
	if err != nil {
		return false, err
	}
	defer conn.Close()
	stream, err := machinepb.NewEdgesClient(conn).Follow(l.ctx)
	if err != nil {
		return false, err
	}
	defer l.connected(nil)
	for {
		_ = stream.Send(&machinepb.FollowRequest{}) // if it fails, Recv has the reason
		news, err := stream.Recv()
		if err != nil {
			return followed, err
		}
		if !followed {
			followed = true
			l.connected(conn)
			l.config.Log.Info("following a sibling edge", "sibling", l.name, "workloads", len(news.Workloads))
		}
		if err := l.heed(news); err != nil {
			return followed, err
		}
	}
}

// heed returns when the proxies' side knows the news: what comes after it was asked to settle includes them.
func (l *link) heed(news *machinepb.FollowResponse) error {
	l.config.Roster.Heed(l.name, news)
	select {
	case <-l.config.Roster.Flushed():
		return nil
	case <-l.ctx.Done():
		return l.ctx.Err()
	}
}

func (l *link) connected(conn *grpc.ClientConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
}

// settle asks the sibling to wait for its proxies.
func (l *link) settle(ctx context.Context) error {
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	if conn == nil {
		return fmt.Errorf("sibling edge %s: %w", l.name, errAway)
	}
	if _, err := machinepb.NewEdgesClient(conn).Settle(ctx, &machinepb.SettleRequest{}); err != nil {
		return fmt.Errorf("sibling edge %s: %w", l.name, err)
	}
	return nil
}

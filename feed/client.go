package feed

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// ErrDisconnected is returned by questions to the hub while there is no connection.
var ErrDisconnected = errors.New("feed: no connection to the hub")

// Revision is a zone's change at one revision of the hub, whole.
type Revision struct {
	// Number is the hub's storage revision.
	Number int64
	// Committed is when the hub learned of the newest change in it.
	Committed time.Time
	Upserts   []*feedpb.Resource
	Removed   []string
}

// Without is the revision without the resources of some names; it shares no slice with the whole.
func (r Revision) Without(some func(name string) bool) Revision {
	rest := Revision{Number: r.Number, Committed: r.Committed}
	for _, u := range r.Upserts {
		if !some(u.Name) {
			rest.Upserts = append(rest.Upserts, u)
		}
	}
	for _, name := range r.Removed {
		if !some(name) {
			rest.Removed = append(rest.Removed, name)
		}
	}
	return rest
}

// ClientConfig is what a [Client] needs. All fields but Changed and Backoff are required.
type ClientConfig struct {
	// Addresses of hub replicas, "host:port", in order of preference.
	Addresses []string
	// TLS is asked before each connection: the edge's certificate, and only a hub accepted.
	TLS     func() *tls.Config
	Zone    string
	Edge    string
	Version string
	// Advertise are the addresses at which agents reach the edge.
	Advertise []string
	// Have says what the edge has: its revision, and versions by resource name.
	Have func() (revision int64, versions map[string]string)
	// Apply makes a revision effective. An error refuses it: the edge must then have what it had
	// before. Calls never overlap.
	Apply func(ctx context.Context, revision Revision) error
	// Inventory is everything the edge has to report. It is asked at the start of a connection; what
	// changes afterwards must be given to Client.Report after the change is visible to Inventory.
	Inventory func() *feedpb.ReportRequest
	// Changed is called when the connection to the hub is made (nil) or lost (why).
	Changed func(err error)
	Log     *slog.Logger
	// Backoff is the pause after a number of failures in a row; nil means [Backoff].
	Backoff func(failures int) time.Duration
}

// Client is an edge's end of the feed.
type Client struct {
	config ClientConfig
	outbox *outbox

	mu         sync.Mutex
	connection *grpc.ClientConn
}

// NewClient makes a client that does nothing until Run.
func NewClient(config ClientConfig) *Client {
	if config.Backoff == nil {
		config.Backoff = Backoff
	}
	return &Client{config: config, outbox: newOutbox()}
}

// Backoff doubles from 100 ms to 5 s; each pause is between half of that and all of it, so that many
// edges do not come back at one moment.
func Backoff(failures int) time.Duration {
	top := min(100*time.Millisecond<<min(failures, 10), 5*time.Second)
	return top/2 + rand.N(top/2)
}

// Run keeps a connection to one of the hub's addresses until ctx ends; then it returns nil.
func (c *Client) Run(ctx context.Context) error {
	for failures, next := 0, 0; ctx.Err() == nil; {
		served, err := c.session(ctx, c.config.Addresses[next])
		if ctx.Err() != nil {
			break
		}
		next = (next + 1) % len(c.config.Addresses)
		failures++
		if served {
			failures = 0
		}
		pause := c.config.Backoff(failures)
		c.config.Log.Warn("feed: no connection to the hub", "err", err, "next", c.config.Addresses[next], "in", pause)
		c.changed(err)
		sleep(ctx, pause)
	}
	return nil
}

// Report gives the hub news, as soon as there is a connection. It never blocks; what waits is merged.
func (c *Client) Report(news *feedpb.ReportRequest) { c.outbox.put(news) }

// Redeem asks the hub whether a key may use a token. It returns [ErrDisconnected] when the hub cannot
// be asked, and a status error PermissionDenied or NotFound when the hub refuses.
func (c *Client) Redeem(ctx context.Context, request *feedpb.RedeemRequest) error {
	return c.ask(ctx, func(f feedpb.FeedClient) error {
		_, err := f.Redeem(ctx, request)
		return err
	})
}

// Admit renews the edge's certificates. Errors as for Redeem.
func (c *Client) Admit(ctx context.Context, request *feedpb.AdmitRequest) (response *feedpb.AdmitResponse, err error) {
	err = c.ask(ctx, func(f feedpb.FeedClient) (err error) {
		response, err = f.Admit(ctx, request)
		return err
	})
	return response, err
}

// Admit asks the hub at one of the addresses, known by nothing but what config checks, to admit a
// newcomer. It stops at the first hub that answers, be it with a refusal.
func Admit(ctx context.Context, addresses []string, config *tls.Config, request *feedpb.AdmitRequest) (*feedpb.AdmitResponse, error) {
	var errs []error
	for _, address := range addresses {
		response, err := admitAt(ctx, address, config, request)
		if err == nil {
			return response, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", address, err))
		if code := status.Code(err); code != codes.Unavailable && code != codes.DeadlineExceeded {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func admitAt(ctx context.Context, address string, config *tls.Config, request *feedpb.AdmitRequest) (*feedpb.AdmitResponse, error) {
	connection, err := dial(address, config)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	return feedpb.NewFeedClient(connection).Admit(ctx, request)
}

// ask puts a question over the current connection.
func (c *Client) ask(ctx context.Context, question func(feedpb.FeedClient) error) error {
	c.mu.Lock()
	connection := c.connection
	c.mu.Unlock()
	if connection == nil {
		return ErrDisconnected
	}
	err := question(feedpb.NewFeedClient(connection))
	if code := status.Code(err); code == codes.Unavailable || code == codes.Canceled && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", ErrDisconnected, err)
	}
	return err
}

// session is one connection: configuration down and reports up, until either ends. served tells
// whether the hub answered at all.
func (c *Client) session(ctx context.Context, address string) (served bool, err error) {
	connection, err := dial(address, c.config.TLS())
	if err != nil {
		return false, err
	}
	defer connection.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := feedpb.NewFeedClient(connection)
	stream, err := c.hello(ctx, f)
	if err != nil {
		return false, err
	}
	reports := make(chan error, 1)
	go func() { // ends with ctx; waited for below
		reports <- c.reports(ctx, f)
		cancel()
	}()
	served, err = c.receive(ctx, stream, func() { c.use(connection) })
	c.use(nil)
	cancel()
	if up := <-reports; status.Code(err) == codes.Canceled {
		err = up
	}
	return served, err
}

func (c *Client) use(connection *grpc.ClientConn) {
	c.mu.Lock()
	c.connection = connection
	c.mu.Unlock()
	if connection != nil {
		c.changed(nil)
	}
}

func (c *Client) changed(err error) {
	if c.config.Changed != nil {
		c.config.Changed(err)
	}
}

func dial(address string, config *tls.Config) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+address,
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: connectTimeout}),
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageBytes), grpc.MaxCallSendMsgSize(messageBytes)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingEvery, Timeout: pingTimeout, PermitWithoutStream: true}))
}

func sleep(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

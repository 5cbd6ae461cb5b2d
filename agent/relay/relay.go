package relay

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/isthmus-mesh/isthmus/machine/xds"
)

// maxFlights is how many responses may be on their way through Envoy before the relay stops
// listening to the edge.
const maxFlights = 32

// Config is what a relay needs; all fields are required.
type Config struct {
	// Saved is the content of the file of holdings; empty on a new machine.
	Saved []byte
	// Save replaces that file, atomically.
	Save func([]byte) error
	// SaveDelay is how long changes are gathered before they are saved.
	SaveDelay time.Duration
	// Edge waits until an edge is there.
	Edge func(context.Context) (grpc.ClientConnInterface, error)
	// Names hears of every name table. It must not block or call the relay.
	Names func(map[string][]netip.Addr)
	// Verdict hears of every answer of Envoy: the text of a rejection, or nothing. It must not block
	// or call the relay.
	Verdict func(typeURL, rejection string)
	// Saves hears whether the file could be written. It must not block or call the relay.
	Saves func(error)
	Log   *slog.Logger
}

// Relay serves Envoy's aggregated discovery service. Run must run for it to reach the disk.
type Relay struct {
	config Config
	dirty  chan struct{}

	mu sync.Mutex // guards the rest
	x  exchange
}

// ErrDamaged says that the file of holdings cannot be used. The relay made is empty, and works.
var ErrDamaged = errors.New("the saved configuration is damaged")

// New makes a relay. With [ErrDamaged] it returns one as well.
func New(config Config) (*Relay, error) {
	r := &Relay{config: config, dirty: make(chan struct{}, 1)}
	h, err := newHoldings(), error(nil)
	if len(config.Saved) > 0 {
		if h, err = decode(config.Saved); err != nil {
			h, err = newHoldings(), errors.Join(ErrDamaged, err)
		}
	}
	h.changed = r.touch
	r.x = exchange{
		holdings: h, names: config.Names, verdict: config.Verdict, flights: map[string]flight{},
	}
	r.recall()
	return r, err
}

// recall tells the names of the saved name table.
func (r *Relay) recall() {
	have, _ := r.x.holdings.of(nameTableType)
	for _, name := range sorted(have) {
		if table, err := nameTable(have[name]); err == nil {
			r.config.Names(table)
		}
	}
}

// Register adds the service to the server of Envoy's socket.
func (r *Relay) Register(s *grpc.Server) { xds.ServeDelta(s, r.serveEnvoy) }

// SetNode says what Envoy is called, before Envoy first connects and whenever that changes.
func (r *Relay) SetNode(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.x.nodeID = id
}

// Seal keeps the holdings as they are from now on, because Envoy is going to be drained.
func (r *Relay) Seal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.x.holdings.sealed = true
}

// Holds counts the resources of the holdings by type.
func (r *Relay) Holds() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := map[string]int{}
	for typeURL, resources := range r.x.holdings.types {
		counts[typeURL] = len(resources)
	}
	return counts
}

// Connected tells whether Envoy has a stream, and whether an edge answers on it.
func (r *Relay) Connected() (envoy, edge bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.x.envoy != nil, r.x.edge != nil
}

// serveEnvoy serves one stream of Envoy. A newer stream supersedes an older one.
func (r *Relay) serveEnvoy(stream xds.DeltaServerStream) error {
	line := newMailbox[*xds.DeltaResponse]()
	ctx, cancel := context.WithCancel(stream.Context())
	work, ctx := errgroup.WithContext(ctx)
	r.openEnvoy(line)
	defer func() { cancel(); _ = work.Wait(); r.closeEnvoy(line) }()
	work.Go(func() error { return deliver(ctx, line, stream.Send) })
	work.Go(func() error { return r.followEdges(ctx, line) })
	for {
		req, err := stream.Recv()
		if err != nil {
			return err
		}
		r.hearEnvoy(line, req)
	}
}

func (r *Relay) openEnvoy(line *envoyLine) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.x.envoyOpened(line)
}

func (r *Relay) closeEnvoy(line *envoyLine) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.x.envoy == line {
		r.x.envoyOpened(nil)
	}
}

func (r *Relay) hearEnvoy(line *envoyLine, req *xds.DeltaRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.x.envoy != line {
		return
	}
	if req.Rejection != nil {
		r.config.Log.Warn("Envoy rejects configuration", "type", req.TypeURL, "reason", req.Rejection.Text)
	}
	r.x.fromEnvoy(req)
}

// deliver sends what comes into a mailbox.
func deliver[T any](ctx context.Context, line *mailbox[T], send func(T) error) error {
	for {
		items, err := line.take(ctx)
		if err != nil {
			return err
		}
		for _, item := range items {
			if err := send(item); err != nil {
				return err
			}
		}
	}
}

package relay

import (
	"context"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/isthmus-mesh/isthmus/machine/xds"
)

// Pauses between streams to edges. A stream that lasted longer than the longest pause was a good one.
const (
	shortestPause = 50 * time.Millisecond
	longestPause  = 5 * time.Second
	// maxMessage is the largest response of an edge, in bytes.
	maxMessage = 64 << 20
)

// followEdges keeps a stream to some edge for as long as Envoy's stream lives.
func (r *Relay) followEdges(ctx context.Context, envoy *envoyLine) error {
	for pause := shortestPause; ; pause = min(2*pause, longestPause) {
		conn, err := r.config.Edge(ctx)
		if err != nil {
			return err
		}
		began := time.Now()
		err = r.followEdge(ctx, conn, envoy)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.config.Log.Info("stream to the edge ended", "err", err)
		if time.Since(began) > longestPause {
			pause = shortestPause
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-ctx.Done():
		}
	}
}

// followEdge relays one stream until it ends.
func (r *Relay) followEdge(ctx context.Context, conn grpc.ClientConnInterface, envoy *envoyLine) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := xds.Delta(ctx, conn, maxMessage)
	if err != nil {
		return err
	}
	line := newMailbox[*xds.DeltaRequest]()
	if !r.openEdge(envoy, line, cancel) {
		return nil
	}
	defer r.closeEdge(line)
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { return deliver(ctx, line, stream.Send) })
	work.Go(func() error { defer cancel(); return r.hearEdge(ctx, line, stream) })
	return work.Wait()
}

func (r *Relay) openEdge(envoy *envoyLine, line *edgeLine, restart func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.x.envoy != envoy {
		return false
	}
	r.x.edgeOpened(line, restart)
	return true
}

func (r *Relay) closeEdge(line *edgeLine) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.x.edge == line {
		r.x.edge = nil
	}
}

// hearEdge takes responses while few enough are on their way through Envoy.
func (r *Relay) hearEdge(ctx context.Context, line *edgeLine, stream xds.DeltaClientStream) error {
	flights := make(chan struct{}, maxFlights)
	landed := func() { <-flights }
	for {
		select {
		case flights <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.x.fromEdge(line, response, landed)
		r.mu.Unlock()
	}
}

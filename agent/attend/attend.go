// Package attend keeps the agent in touch with its zone: one connection to one of the zone's edges,
// on which the workload is registered, and which everything else that needs an edge shares. So
// configuration always comes from an edge that knows the workload.
//
// When an edge fails, the [Link] goes to the next one. It never gives up; what is wrong is told to
// [Config.Lost]. All methods may be called from any goroutine, except Run, which is called once.
package attend

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// Pauses between attempts. An attendance that lasted longer than the longest pause was a good one.
const (
	shortestPause = 100 * time.Millisecond
	longestPause  = 5 * time.Second
	// greetTime is how long an edge may take to answer a registration.
	greetTime = 5 * time.Second
)

var errSilent = errors.New("the edge does not answer")

// Config is what a link needs; all fields are required.
type Config struct {
	// Edges are the addresses known at the start, "host:port".
	Edges []string
	Dial  func(ctx context.Context, network, address string) (net.Conn, error)
	TLS   *tls.Config
	// Answer hears of every answer of an edge. It must not block.
	Answer func(*machinepb.AttendResponse)
	// Lost hears why an edge could not be reached or was lost. It must not block.
	Lost func(edge string, err error)
	Log  *slog.Logger
}

// Link is the agent's way to its zone.
type Link struct {
	config Config

	mu       sync.Mutex // guards the rest
	edges    []string
	next     int
	workload *machinepb.Workload
	health   *machinepb.Health
	leaving  bool
	left     chan struct{} // closed when an edge says so
	conn     *grpc.ClientConn
	edge     string
	moved    chan struct{} // closed when anything above changes
}

// New makes a link that registers workload when it runs. It starts with a random edge, so that
// machines spread over them.
func New(config Config, workload *machinepb.Workload, health *machinepb.Health) *Link {
	return &Link{
		config: config, edges: slices.Clone(config.Edges), next: rand.IntN(max(1, len(config.Edges))),
		workload: workload, health: health, left: make(chan struct{}), moved: make(chan struct{}),
	}
}

// change makes a change and wakes whoever waits for one.
func (l *Link) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.moved)
	l.moved = make(chan struct{})
}

// Report says how the workload is, now and to every edge to come.
func (l *Link) Report(health *machinepb.Health) {
	l.change(func() { l.health = health })
}

// Conn waits until the workload is registered with an edge and returns the connection to it. It is
// closed when the edge is lost.
func (l *Link) Conn(ctx context.Context) (grpc.ClientConnInterface, error) {
	for {
		l.mu.Lock()
		conn, moved := l.conn, l.moved
		l.mu.Unlock()
		if conn != nil {
			return conn, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Edge is the address of the edge attended; empty when there is none.
func (l *Link) Edge() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.edge
}

// Edges are the addresses of all edges, as known now.
func (l *Link) Edges() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.edges)
}

// Leave takes the workload out of service and returns when callers know, or when ctx ends.
func (l *Link) Leave(ctx context.Context) error {
	l.change(func() { l.leaving = true })
	select {
	case <-l.left:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run attends until ctx ends.
func (l *Link) Run(ctx context.Context) error {
	for pause := shortestPause; ; pause = min(2*pause, longestPause) {
		edge, began := l.turn(), time.Now()
		err := l.attend(ctx, edge)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		l.config.Log.Warn("edge lost", "edge", edge, "err", err)
		l.config.Lost(edge, err)
		if time.Since(began) > longestPause {
			pause = shortestPause
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// turn picks the edge to try.
func (l *Link) turn() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	edge := l.edges[l.next%len(l.edges)]
	l.next++
	return edge
}

// attend registers with one edge and stays until the stream ends.
func (l *Link) attend(ctx context.Context, edge string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	conn, err := Connect(edge, l.config.TLS, l.config.Dial)
	if err != nil {
		return err
	}
	defer conn.Close()
	greeting := time.AfterFunc(greetTime, func() { cancel(errSilent) })
	defer greeting.Stop()
	stream, told, answer, err := l.greet(ctx, conn)
	if err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	greeting.Stop()
	l.config.Log.Info("attending", "edge", edge, "workload", answer.Workload)
	l.change(func() { l.conn, l.edge = conn, edge })
	defer l.change(func() { l.conn, l.edge = nil, "" })
	l.heard(answer)
	return l.converse(ctx, stream, told)
}

// greet opens a stream and registers on it.
func (l *Link) greet(ctx context.Context, conn *grpc.ClientConn) (machinepb.Machine_AttendClient, state, *machinepb.AttendResponse, error) {
	told := l.state()
	stream, err := machinepb.NewMachineClient(conn).Attend(ctx)
	if err != nil {
		return nil, told, nil, err
	}
	_ = stream.Send(told.introduction()) // if it fails, Recv has the reason
	told.leaving = false
	answer, err := stream.Recv()
	return stream, told, answer, err
}

// converse tells the edge what changes and hears its answers.
func (l *Link) converse(ctx context.Context, stream machinepb.Machine_AttendClient, told state) error {
	ctx, cancel := context.WithCancel(ctx)
	talking := make(chan struct{})
	go func() {
		defer close(talking)
		_ = l.talk(ctx, stream, told) // if it fails, Recv has the reason
	}()
	defer func() { cancel(); <-talking }()
	for {
		answer, err := stream.Recv()
		if err != nil {
			return err
		}
		l.heard(answer)
	}
}

func (l *Link) talk(ctx context.Context, stream machinepb.Machine_AttendClient, told state) error {
	for {
		now := l.state()
		if news := now.since(told); news != nil {
			if err := stream.Send(news); err != nil {
				return err
			}
			told = now
		}
		select {
		case <-now.moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *Link) heard(answer *machinepb.AttendResponse) {
	l.mu.Lock()
	if len(answer.Edges) > 0 && !slices.Equal(answer.Edges, l.edges) {
		l.edges = slices.Clone(answer.Edges)
		l.next = slices.Index(l.edges, l.edge) + 1
	}
	l.mu.Unlock()
	l.config.Answer(answer)
	if answer.Left {
		l.change(func() { l.finish() })
	}
}

func (l *Link) finish() {
	select {
	case <-l.left:
	default:
		close(l.left)
	}
}

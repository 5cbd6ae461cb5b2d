package siblings

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/isthmus-mesh/isthmus/edge/roster"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// Config is what [Siblings] needs; all fields are required.
type Config struct {
	// Name of this edge, which does not follow itself.
	Name string
	// TLS is for a connection to the sibling of a name.
	TLS    func(sibling string) *tls.Config
	Roster *roster.Roster
	Log    *slog.Logger
}

// Siblings are the zone's other edges. All methods may be called from any goroutine, except Run, which is
// called once.
type Siblings struct {
	config Config
	wake   chan struct{}

	mu    sync.Mutex // guards what follows
	edges []*feedpb.ZoneEdge
	links map[string]*link
}

// New makes an edge that has no siblings yet.
func New(config Config) *Siblings {
	return &Siblings{config: config, wake: make(chan struct{}, 1), links: map[string]*link{}}
}

// Set says which edges the zone has; this one may be among them. It reports whether the siblings are others
// than before.
func (s *Siblings) Set(edges []*feedpb.ZoneEdge) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	others := slices.DeleteFunc(slices.Clone(edges), func(e *feedpb.ZoneEdge) bool { return e.Name == s.config.Name || len(e.Addresses) == 0 })
	if slices.EqualFunc(others, s.edges, func(a, b *feedpb.ZoneEdge) bool { return proto.Equal(a, b) }) {
		return false
	}
	s.edges = others
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return true
}

// Addresses are those at which agents reach the siblings.
func (s *Siblings) Addresses() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.edges {
		all = append(all, e.Addresses...)
	}
	return all
}

// Run follows the siblings until ctx ends.
func (s *Siblings) Run(ctx context.Context) error {
	var following sync.WaitGroup
	defer following.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
			s.adjust(ctx, &following)
		}
	}
}

// adjust begins and ends links, so that there is one to each sibling at its newest addresses.
func (s *Siblings) adjust(ctx context.Context, following *sync.WaitGroup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted := map[string]*feedpb.ZoneEdge{}
	for _, e := range s.edges {
		wanted[e.Name] = e
	}
	for name, l := range s.links {
		if e := wanted[name]; e == nil || !slices.Equal(e.Addresses, l.addresses) {
			l.end()
			delete(s.links, name)
		}
	}
	for name, e := range wanted {
		if s.links[name] == nil {
			l := newLink(ctx, s.config, name, e.Addresses)
			s.links[name] = l
			following.Go(l.run)
		}
	}
}

// Settle returns when the siblings that can be reached have heard everything that this edge's roster holds,
// and their proxies have acknowledged it. The error says for whom that could not be found out.
func (s *Siblings) Settle(ctx context.Context) error {
	if err := s.config.Roster.Followed(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range s.all() {
		group.Go(func() error { return l.settle(ctx) })
	}
	return group.Wait()
}

func (s *Siblings) all() (all []*link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		all = append(all, l)
	}
	return all
}

var errAway = errors.New("it cannot be reached")

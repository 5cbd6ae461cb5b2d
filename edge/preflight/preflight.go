// Package preflight tries the ways from a zone into others before requests need them, and says which
// firewall rule is missing.
//
// A way is tried by connecting to the other zone's east-west gateway and hanging up: a gateway passes TLS
// through and shows nothing of itself to those who bring no name. The edge stands for the zone's workloads,
// whose proxies dial the same gateways: where hosts of one zone are treated differently, it can be mistaken.
package preflight

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// Every is how often blocked ways should be tried again; open ones are at every openEvery-th time. A gateway
// may take patience to answer.
const (
	Every     = 2 * time.Second
	openEvery = 15
	patience  = 3 * time.Second
)

// Config is what [Paths] need. All fields but Dial are required.
type Config struct {
	// Zone is where the edge stands.
	Zone string
	// Dial connects as [net.Dialer.DialContext] does, which is meant by nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Blocked is told what is wrong with the way to an address; nil means nothing, or that there is no such
	// way any more.
	Blocked func(address string, err *problem.Error)
}

// Paths are the ways from one zone into others. Set may be called from any goroutine; Run is called once.
type Paths struct {
	config Config
	wake   chan struct{}

	mu      sync.Mutex
	zones   map[string]string // by address; replaced, never changed
	blocked map[string]bool   // by address
}

// New makes paths that lead nowhere yet.
func New(config Config) *Paths {
	if config.Dial == nil {
		config.Dial = (&net.Dialer{}).DialContext
	}
	return &Paths{config: config, wake: make(chan struct{}, 1), zones: map[string]string{}, blocked: map[string]bool{}}
}

// Set says which ways there are now. New ones are tried at once.
func (p *Paths) Set(all []*feedpb.Path) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.zones
	p.zones = map[string]string{}
	for _, path := range all {
		for _, address := range path.Addresses {
			p.zones[address] = path.Zone
		}
	}
	gone := without(old, p.zones)
	news := len(without(p.zones, old)) > 0
	for _, address := range gone {
		p.tell(address, nil)
	}
	if news {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

// without are the addresses of one that the other lacks.
func without(one, other map[string]string) (all []string) {
	for address := range one {
		if _, ok := other[address]; !ok {
			all = append(all, address)
		}
	}
	return all
}

// Run tries all ways whenever there are new ones, and whenever again receives, until ctx ends.
func (p *Paths) Run(ctx context.Context, again <-chan time.Time) error {
	for times := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
			times = 0
		case <-again:
			times++
		}
		p.tryAll(ctx, times%openEvery == 0)
	}
}

// tryAll tries the ways that are blocked, and with open the others too.
func (p *Paths) tryAll(ctx context.Context, open bool) {
	var trying sync.WaitGroup
	defer trying.Wait()
	for address, zone := range p.worthTrying(open) {
		trying.Go(func() { p.try(ctx, zone, address) })
	}
}

func (p *Paths) worthTrying(open bool) map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	worth := map[string]string{}
	for address, zone := range p.zones {
		if open || p.blocked[address] {
			worth[address] = zone
		}
	}
	return worth
}

func (p *Paths) try(ctx context.Context, zone, address string) {
	dial, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := p.config.Dial(dial, "tcp", address)
	if err == nil {
		_ = conn.Close()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.zones[address] != zone || ctx.Err() != nil {
		return // it is no way any more, or nobody wants to know
	}
	if err == nil {
		p.tell(address, nil)
		return
	}
	p.tell(address, problem.PathBlocked.Because("from zone %s to zone %s at %s: %s", p.config.Zone, zone, address, p.diagnose(address, err)))
}

// tell passes on what was found; the caller holds the lock.
func (p *Paths) tell(address string, err *problem.Error) {
	delete(p.blocked, address)
	if err != nil {
		p.blocked[address] = true
	}
	p.config.Blocked(address, err)
}

// diagnose says what is probably wrong, which differs by how connecting fails.
func (p *Paths) diagnose(address string, err error) string {
	var name *net.DNSError
	host, port, _ := net.SplitHostPort(address)
	switch {
	case errors.As(err, &name):
		return "the name " + host + " is not known here"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection is refused: the gateway does not run, or listens elsewhere"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer: a firewall rule is probably missing; allow TCP from zone " + p.config.Zone + " to " + host + " port " + port
	}
	return err.Error()
}

package envoy

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"
)

// Times of the life of an Envoy.
const (
	shortestPause = 200 * time.Millisecond
	longestPause  = 10 * time.Second
	// DrainTime is how long Envoy goes on serving after it was told to drain.
	DrainTime = 5 * time.Second
	// killTime is how long Envoy may take to end after that.
	killTime = 5 * time.Second
	lookTime = 100 * time.Millisecond
	restTime = time.Second
)

// State is how the proxy is.
type State struct {
	// Ready: it has configuration and accepts connections.
	Ready bool
	// Reason says why it is not ready.
	Reason string
	PID    int
	// Adopted: an earlier agent started it.
	Adopted bool
	// Ends counts how often Envoy ended by itself while this agent looked after it.
	Ends int
	Info Info
}

// Proxy is the machine's Envoy. Its methods may be called from any goroutine; Run is called once.
type Proxy struct {
	spec   Spec
	admin  *Admin
	report func(State)
	log    *slog.Logger

	mu       sync.Mutex // guards the rest
	state    State
	process  process
	draining bool
}

// New makes a proxy. report hears of every change of its state and must not block.
func New(spec Spec, report func(State), log *slog.Logger) *Proxy {
	return &Proxy{spec: spec, admin: NewAdmin(spec.adminSocket()), report: report, log: log}
}

// Admin is the proxy's administration.
func (p *Proxy) Admin() *Admin { return p.admin }

// State returns how the proxy is.
func (p *Proxy) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

func (p *Proxy) change(f func(*State)) {
	p.mu.Lock()
	before := p.state
	f(&p.state)
	after := p.state
	p.mu.Unlock()
	if after != before {
		p.report(after)
	}
}

// Run adopts a running Envoy or starts one, and starts it again whenever it ends, until ctx ends.
// Envoy goes on then.
func (p *Proxy) Run(ctx context.Context) error {
	if running, ok := p.adopt(); ok {
		p.follow(ctx, running, nil, true)
	}
	for pause := shortestPause; ctx.Err() == nil && !p.Draining(); pause = min(2*pause, longestPause) {
		began := time.Now()
		if running, died, err := p.spec.start(); err != nil {
			p.log.Error("Envoy cannot be started", "err", err)
			p.change(func(s *State) { *s = State{Reason: err.Error(), Ends: s.Ends} })
		} else {
			p.log.Info("Envoy started", "pid", running.PID)
			p.follow(ctx, running, died, false)
		}
		if time.Since(began) > longestPause {
			pause = shortestPause
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// adopt finds the Envoy of an earlier agent. One that runs under another name than it should is stopped.
func (p *Proxy) adopt() (process, bool) {
	running, ok := readProcess(p.spec.processFile())
	if !ok {
		return running, false
	}
	if running.NodeID != p.spec.NodeID {
		p.log.Warn("the running Envoy belongs to another workload and is stopped", "pid", running.PID, "node", running.NodeID)
		end(context.Background(), running)
		return running, false
	}
	p.log.Info("Envoy adopted", "pid", running.PID)
	return running, true
}

// follow watches one Envoy until it ends or ctx does. What is said first of an adopted one is how it
// is, not that it starts.
func (p *Proxy) follow(ctx context.Context, running process, died <-chan struct{}, adopted bool) {
	first := State{PID: running.PID, Adopted: adopted, Reason: "Envoy is starting"}
	if adopted {
		info, err := p.admin.Info(ctx)
		first.look(info, err)
	}
	p.change(func(s *State) {
		first.Ends = s.Ends
		*s = first
	})
	if !p.take(running) {
		end(ctx, running)
		return
	}
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { p.watch(watching) })
	defer func() { stop(); watch.Wait() }()
	if running.wait(ctx) != nil {
		return
	}
	if died != nil {
		<-died
	}
	stop()
	watch.Wait()
	ends := 0
	if !p.Draining() {
		p.log.Error("Envoy ended", "pid", running.PID, "log", p.spec.LogFile())
		ends = 1
	}
	p.change(func(s *State) { *s = State{Reason: "Envoy ended; see " + p.spec.LogFile(), Ends: s.Ends + ends} })
}

// take makes a process the one that Drain ends. It refuses when that has been asked for already.
func (p *Proxy) take(running process) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.process = running
	return !p.draining
}

// look notes what Envoy said about itself.
func (s *State) look(info Info, err error) {
	s.Info, s.Ready, s.Reason = info, err == nil && info.State == "LIVE", waitingFor(info, err)
}

// watch asks Envoy how it is: often until it is ready, seldom after.
func (p *Proxy) watch(ctx context.Context) {
	for {
		info, err := p.admin.Info(ctx)
		if ctx.Err() != nil {
			return
		}
		p.change(func(s *State) { s.look(info, err) })
		p.trimLog(ctx)
		rest := lookTime
		if p.State().Ready {
			rest = restTime
		}
		select {
		case <-time.After(rest):
		case <-ctx.Done():
			return
		}
	}
}

func waitingFor(info Info, err error) string {
	switch {
	case err != nil:
		return "Envoy does not answer: " + err.Error()
	case info.State == "LIVE":
		return ""
	case info.State == "DRAINING":
		return "Envoy is draining"
	}
	return "Envoy waits for its first configuration"
}

// Draining is whether [Proxy.Drain] was called; nil is not draining.
func (p *Proxy) Draining() bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.draining
}

// Drain lets Envoy finish what was begun and stops it. It returns when Envoy has ended. A ctx that ends
// shortens the draining, not the stop.
func (p *Proxy) Drain(ctx context.Context) {
	p.mu.Lock()
	p.draining = true
	running := p.process
	p.mu.Unlock()
	if running.PID == 0 {
		var ok bool
		if running, ok = readProcess(p.spec.processFile()); !ok {
			return
		}
	}
	if err := p.admin.drainListeners(ctx); err == nil {
		p.finish(ctx)
	}
	end(ctx, running)
}

// finish waits until Envoy has no connections any more, [DrainTime] at most.
func (p *Proxy) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, DrainTime)
	defer cancel()
	for {
		if stats, err := p.admin.Stats(ctx); err != nil || stats.Connections == 0 {
			return
		}
		select {
		case <-time.After(lookTime):
		case <-ctx.Done():
			return
		}
	}
}

// end stops a process, by force if need be.
func end(ctx context.Context, p process) {
	_ = p.signal(syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTime)
	defer cancel()
	if p.wait(ctx) != nil {
		_ = p.signal(syscall.SIGKILL)
		_ = p.wait(context.Background())
	}
}

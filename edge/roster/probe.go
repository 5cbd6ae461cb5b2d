package roster

import (
	"context"
	"errors"
	"maps"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	// probes is how many workloads are probed at once, witnesses how many of those that others are judged by.
	probes, witnesses = 256, 8
	// attempts is how often a workload is probed that does not answer, again how often of these after another one did.
	attempts, again = 3, 2
	// patience is how long a machine may be silent: two seconds in all.
	patience = 2 * time.Second / attempts
)

var (
	// errNoPort is the answer of a workload that registered no port: nobody can be asked.
	errNoPort = errors.New("it has no port to be asked at")
	errSilent = errors.New("its machine does not answer")
)

// Dial connects to an address and hangs up, or gives up soon.
func Dial(ctx context.Context, address string) error {
	c, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return c.Close()
}

// look probes every absent workload that is due.
//
// Who answers serves, and who has no port or refuses does not: that is certain at once. Silence is not: it may be the edge
// that is cut off. The rule is that silence proves nothing to an edge that hears nobody. A silent workload is
// lost when it remains silent after any other of the zone's machines answered the edge. If none does, the edge is
// alone: all remain what they were, until one answers. If there is no other machine to ask, the lease decides.
func (r *Roster) look(ctx context.Context) {
	silent := r.due()
	if len(silent) == 0 {
		return
	}
	others, machines := r.others(silent)
	heard, since := false, 0
	for tries := 0; len(silent) > 0 && since < again && (heard || tries < attempts); tries++ {
		if heard {
			others, since = nil, since+1
		}
		heard = r.try(ctx, silent, others) || heard
		if ctx.Err() != nil {
			return
		}
	}
	r.judge(silent, heard, machines)
}

// try probes workloads, and others to hear of any. It heeds who answered, takes it out of silent, and tells whether there
// was one.
func (r *Roster) try(ctx context.Context, silent, others map[string]string) (heard bool) {
	all := maps.Clone(silent)
	maps.Copy(all, others)
	answers := r.ask(ctx, all)
	if ctx.Err() != nil {
		return false
	}
	for name, err := range answers {
		certain := err == nil || errors.Is(err, syscall.ECONNREFUSED)
		heard = heard || certain
		if _, ours := silent[name]; ours && (certain || err == errNoPort) {
			r.found(name, err)
			delete(silent, name)
		}
	}
	return heard
}

// judge decides about those that remained silent.
func (r *Roster) judge(silent map[string]string, heard bool, machines int) {
	if len(silent) == 0 {
		return
	}
	alone := !heard && machines > 1
	if alone && !r.alone {
		r.config.Log.Warn("no machine answers: this edge is cut off, or all are gone; they are believed to be as they were", "silent", len(silent))
	}
	r.alone = alone
	for name := range silent {
		if heard || !r.spare(name, alone) {
			r.found(name, errSilent)
		}
	}
}

// ask probes addresses, by workload, and returns the answers.
func (r *Roster) ask(ctx context.Context, addresses map[string]string) map[string]error {
	var asking sync.WaitGroup
	var mu sync.Mutex
	answers, free := make(map[string]error, len(addresses)), make(chan struct{}, probes)
	for name, address := range addresses {
		free <- struct{}{}
		asking.Go(func() {
			defer func() { <-free }()
			err := errNoPort
			if address != "" {
				err = r.config.Probe(ctx, address)
			}
			mu.Lock()
			defer mu.Unlock()
			answers[name] = err
		})
	}
	asking.Wait()
	return answers
}

// others are workloads by which silent ones can be judged: on other machines, and not known to be lost. It also
// tells on how many machines there are any that are not.
func (r *Roster) others(due map[string]string) (others map[string]string, machines int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked, all := map[string]bool{}, map[string]bool{}
	for _, address := range due {
		asked[hostOf(address)] = true
	}
	others = map[string]string{}
	for name, e := range r.rows {
		address := addressOf(e.workload.Registration)
		host := hostOf(address)
		if address == "" || !e.lost.IsZero() {
			continue
		}
		if all[host] = true; !asked[host] && len(others) < witnesses {
			asked[host], others[name] = true, address
		}
	}
	return others, len(all)
}

func hostOf(address string) string {
	host, _, _ := net.SplitHostPort(address)
	return host
}

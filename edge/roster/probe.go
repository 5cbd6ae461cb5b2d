package roster

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	// probes is how many workloads are probed at once, witnesses how many of those that others are judged by.
	probes, witnesses = 256, 16
	// attempts and patience bound how long a machine may be silent: two seconds.
	attempts, patience = 3, 2 * time.Second / attempts
)

// Dial connects to an address and hangs up, three times at most, for two seconds at most.
func Dial(ctx context.Context, address string) (err error) {
	for range attempts {
		var c net.Conn
		if c, err = (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", address); err == nil {
			return c.Close()
		}
	}
	return err
}

// look probes every absent workload that is due.
//
// Who answers serves, and who has no port or refuses does not: that is certain at once. Silence is not: it may be the edge
// that is cut off. The rule is that silence proves nothing to an edge that hears nobody. A silent workload is
// lost when any other of the zone's machines answers the edge at the same time. If none does, the edge is alone: all
// remain what they were, until one answers. If there is no other machine to ask, the lease decides.
func (r *Roster) look(ctx context.Context) {
	due := r.due()
	answers := r.ask(ctx, due)
	if ctx.Err() != nil {
		return
	}
	silent, heard := map[string]error{}, false
	for name, err := range answers {
		if due[name] != "" && !answered(err) {
			silent[name] = err
			continue
		}
		heard = heard || due[name] != ""
		r.found(name, err)
	}
	if len(silent) > 0 {
		r.judge(ctx, due, silent, heard)
	}
}

// judge decides about silent workloads. heard tells that another one has just answered.
func (r *Roster) judge(ctx context.Context, due map[string]string, silent map[string]error, heard bool) {
	others, machines := r.others(due)
	if !heard {
		for _, err := range r.ask(ctx, others) {
			heard = heard || answered(err)
		}
	}
	if ctx.Err() != nil {
		return
	}
	alone := !heard && machines > 1
	if alone && !r.alone {
		r.config.Log.Warn("no machine answers: this edge is cut off, or all are gone; they are believed to be as they were", "silent", len(silent))
	}
	r.alone = alone
	for name, err := range silent {
		if heard || !r.spare(name, alone) {
			r.found(name, err)
		}
	}
}

// answered tells whether a machine answered a probe: refusing is an answer too.
func answered(err error) bool { return err == nil || errors.Is(err, syscall.ECONNREFUSED) }

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

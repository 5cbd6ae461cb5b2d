package meshtest

import (
	"fmt"
	"strings"
	"testing"
)

// fault is a part of a test of faults: a mesh with the shop, and what to ask of it.
type fault struct {
	*testing.T
	*Shop
	zone *Zone
	hub  *Hub
}

// while runs what happens under load, and counts.
func (f fault) while(happens func()) *Tally {
	f.Helper()
	tally, stop := f.Load().Start(f)
	f.flows(tally)
	happens()
	f.flows(tally)
	stop()
	f.Logf("%s", tally)
	return tally
}

// flows waits until the load has gone on for some time.
func (f fault) flows(tally *Tally) {
	f.Helper()
	tally.GoesOn(f, 50)
}

// shuns waits until an instance of reviews receives nothing.
func (f fault) shuns(host string) {
	f.Helper()
	Eventually(f, "callers leave "+host+" alone", func() error {
		if got := f.Load().Send(f.Context(), 20).ByHost("reviews", host); got > 0 {
			return fmt.Errorf("it answered %d of 20", got)
		}
		return nil
	})
}

func (f fault) uses(host string) {
	f.Helper()
	Eventually(f, "callers use "+host, func() error {
		if f.Load().Send(f.Context(), 20).ByHost("reviews", host) == 0 {
			return fmt.Errorf("it answered none of 20")
		}
		return nil
	})
}

// well waits until status has nothing to complain of.
func (f fault) well() {
	f.Helper()
	f.w.Says("All is well.")
}

// hubSilent waits until status and the edge say that the hub is away, and what to do.
func (f fault) hubSilent() {
	f.Helper()
	f.w.Says("isthmus: ISM3001: the hub at https://", "does not answer", "traffic goes on, changes wait", "Start the hub or read its log")
	if edge := f.zone.Edges[0]; edge.Running() {
		edge.Says("ready\n", "Hub: ISM4007: ", "Check that the hub runs")
	}
}

// hubBack starts the hub and waits until its zone is well.
func (f fault) hubBack() {
	f.Helper()
	f.hub.Start()
	f.hub.WaitReady()
	f.zone.WaitConnected(1)
	f.well()
}

// renew waits until Envoys prove themselves with other certificates than now.
func (f fault) renew(names ...string) {
	f.Helper()
	before := map[string]string{}
	for _, name := range names {
		before[name] = f.serial(name)
	}
	for _, name := range names {
		Eventually(f, "the certificate of "+name+" is renewed", func() error {
			if f.serial(name) == before[name] {
				return fmt.Errorf("its serial number still is %s", before[name])
			}
			return nil
		})
	}
}

func (f fault) serial(name string) string {
	f.Helper()
	serial, err := f.Agents[name].EnvoySerial()
	if err != nil {
		f.Fatal(err)
	}
	return serial
}

func (f fault) envoys(names ...string) string {
	f.Helper()
	var all []string
	for _, name := range names {
		pid, err := f.Agents[name].EnvoyPID()
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, pid)
	}
	return strings.Join(all, " ")
}

// inFlight is how many requests a killed Envoy can have carried at fifty a second.
const inFlight = 3

func (f fault) losesAtMostWhatIsInFlight(tally *Tally) {
	f.Helper()
	if tally.Failed() > inFlight {
		f.Errorf("%d requests failed, more than the killed Envoy can have carried: %s", tally.Failed(), tally)
	}
}

package edge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/edge/admission"
	"github.com/isthmus-mesh/isthmus/edge/bundle"
	"github.com/isthmus-mesh/isthmus/edge/kube"
	"github.com/isthmus-mesh/isthmus/edge/pilot"
	"github.com/isthmus-mesh/isthmus/edge/roster"
	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// zone takes the zone's configuration from the hub and the disk to those who use it.
type zone struct {
	name       string
	bundle     *bundle.Bundle
	tokens     *admission.Tokens
	conditions *conditions
	// saved is told how each attempt to write the bundle went.
	saved func(error)
	// facts are the newest that the hub said of the zone and that could be read; told are those who hear of them.
	facts atomic.Pointer[feedpb.ZoneInfo]
	told  []func(*feedpb.ZoneInfo)
	// known is closed when there is a configuration.
	known    chan struct{}
	announce func() // closes known, once

	// pilot is nil until open.
	pilot   atomic.Pointer[pilot.Pilot]
	mu      sync.Mutex // orders what Pilot or the cluster is given, and guards what follows
	learned bool       // facts are of the hub
	cluster *kube.Cluster
	newborn newborn
}

// newZone begins with what the disk has.
func newZone(name string, b *bundle.Bundle, c *conditions, saved func(error)) *zone {
	z := &zone{name: name, bundle: b, tokens: admission.NewTokens(), conditions: c, saved: saved, known: make(chan struct{}), newborn: newNewborn()}
	z.facts.Store(&feedpb.ZoneInfo{Name: name})
	z.announce = sync.OnceFunc(func() { close(z.known) })
	b.Each("", z.read)
	if b.Revision() > 0 {
		z.announce()
	}
	return z
}

// Apply makes a revision effective: for proxies first, for newcomers, then on disk. It is
// [feed.ClientConfig.Apply]. What Pilot cannot read or proxies refuse is reported for itself and
// refuses nothing else.
func (z *zone) Apply(_ context.Context, revision feed.Revision) error {
	z.serve(revision)
	z.saved(z.bundle.Save())
	z.announce()
	return nil
}

func (z *zone) serve(revision feed.Revision) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, r := range revision.Upserts {
		z.read(r)
	}
	for _, name := range revision.Removed {
		z.forget(name)
	}
	z.bundle.Put(revision)
	if z.cluster != nil {
		z.placeInCluster(revision)
		return
	}
	z.place(revision)
}

// place gives Pilot its part of a revision, and the services that the bundle lacks.
func (z *zone) place(revision feed.Revision) {
	p := z.pilot.Load()
	if p == nil {
		return
	}
	z.federate(p)
	z.isOf(v1alpha1.ZoneMachines, "machines") // told, and no more: what proxies have goes on
	rest := revision.Without(ours)
	added, dropped := z.newborn.reconcile(z.bundle.Get)
	removed := slices.DeleteFunc(append(rest.Removed, dropped...), z.newborn.serves)
	_ = p.Apply(rest.Number, append(rest.Upserts, added...), removed) // what is wrong reaches the hub as rejections
}

// publish takes the roster's changes to Pilot: first services that are new, then their endpoints.
func (z *zone) publish(p *pilot.Pilot, upserts []*roster.Workload, gone []string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if changed := z.newborn.note(upserts, gone); changed && z.pilot.Load() != nil {
		if added, dropped := z.newborn.reconcile(z.bundle.Get); len(added)+len(dropped) > 0 {
			_ = p.Apply(z.bundle.Revision(), added, dropped) // as in place
		}
	}
	workloads := make([]pilot.Workload, 0, len(upserts))
	for _, w := range upserts {
		workloads = append(workloads, toPilot(w))
	}
	p.SetWorkloads(workloads, gone)
}

// follow tells somebody what the hub says of the zone, now and whenever it changes.
func (z *zone) follow(tell func(*feedpb.ZoneInfo)) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.told = append(z.told, tell)
	tell(z.facts.Load())
}

// open lets proxies in: Pilot gets everything known, and every revision from now on.
func (z *zone) open(p *pilot.Pilot) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.pilot.Store(p)
	all := feed.Revision{Number: z.bundle.Revision()}
	z.bundle.Each("", func(r *feedpb.Resource) { all.Upserts = append(all.Upserts, r) })
	z.place(all)
}

// ours tells whether a resource is for the edge itself, not for Pilot.
func ours(name string) bool { return admission.IsToken(name) || isZoneInfo(name) }

func isZoneInfo(name string) bool { return strings.HasPrefix(name, "Zone/") }

// read takes in a resource for the edge itself.
func (z *zone) read(r *feedpb.Resource) {
	var err error
	switch {
	case admission.IsToken(r.Name):
		err = z.tokens.Put(r)
	case isZoneInfo(r.Name):
		err = z.learn(r)
	default:
		return
	}
	z.readable(r.Name, err)
}

func (z *zone) forget(name string) {
	if admission.IsToken(name) {
		z.tokens.Remove(name)
	}
	if isZoneInfo(name) {
		z.know(&feedpb.ZoneInfo{Name: z.name}, false)
	}
	z.readable(name, nil)
}

func (z *zone) readable(name string, err error) {
	if err == nil {
		z.conditions.set("Resource/"+name, nil)
		return
	}
	z.conditions.set("Resource/"+name, problem.ResourceUnreadable.Because("%v", err))
}

// isOf tells whether the zone is of the type that the edge was started for, and says so when it is not. Of a zone that
// the hub said nothing of, or nothing readable, the type is unknown: that is another trouble, and told where it began.
// Caller holds mu.
func (z *zone) isOf(want v1alpha1.ZoneType, what string) bool {
	is := cmp.Or(v1alpha1.ZoneType(z.facts.Load().Type), v1alpha1.ZoneMachines)
	if is == want || !z.learned {
		z.conditions.set("Type", nil)
		return is == want
	}
	z.conditions.set("Type", problem.ZoneTypeWrong.Because("zone %s is of type %q, and this edge configures %s", z.name, is, what))
	return false
}

func zoneInfo(r *feedpb.Resource) (*feedpb.ZoneInfo, error) {
	if r.Body == nil {
		return nil, errors.New(r.Name + ": empty")
	}
	info := &feedpb.ZoneInfo{}
	if err := r.Body.UnmarshalTo(info); err != nil {
		return nil, fmt.Errorf("%s: %w", r.Name, err)
	}
	return info, nil
}

// learn passes on what the hub says of the zone, and says so when it moved under a running Pilot, which cannot follow.
func (z *zone) learn(r *feedpb.Resource) error {
	info, err := zoneInfo(r)
	if err != nil {
		return err
	}
	if err := readableTrust(info); err != nil {
		return fmt.Errorf("%s: %w", r.Name, err)
	}
	old := z.know(info, true)
	if z.pilot.Load() != nil && (old.Network != info.Network || old.Region != info.Region || old.Zone != info.Zone) {
		z.conditions.set("Place", problem.ZoneMoved.Because("zone %s is now in region %q, zone %q, network %q", z.name, info.Region, info.Zone, info.Network))
	}
	return nil
}

// know has all who follow the facts know them, and returns what they were; learned is whether the hub said them. Caller
// holds mu.
func (z *zone) know(info *feedpb.ZoneInfo, learned bool) (old *feedpb.ZoneInfo) {
	old, z.learned = z.facts.Swap(info), learned
	for _, tell := range z.told {
		tell(info)
	}
	return old
}

package inventory

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// EdgeConnected notes that an edge listens.
func (i *Inventory) EdgeConnected(zone, name string, hello *feedpb.ConfigureRequest_Hello) {
	i.change(zone, func(z *zoneRecord) {
		e := z.edge(name)
		e.connected, e.accepted = true, 0
		e.advertise, e.version = hello.Advertise, hello.Version
		i.enrol(zone)
		i.redisplay(zone, z, name)
	})
	i.config.Events.ZoneChanged(zone)
}

// EdgeGone notes that an edge went away. Its workloads stay.
func (i *Inventory) EdgeGone(zone, name string) {
	i.change(zone, func(z *zoneRecord) {
		e := z.edge(name)
		e.connected, e.gone = false, i.config.Now()
		i.redisplay(zone, z, name)
	})
	i.config.Events.ZoneChanged(zone)
	i.config.Events.Progressed(zone)
}

// Accepted notes the revision that an edge has applied.
func (i *Inventory) Accepted(zone, name string, revision int64) {
	changed := false
	i.change(zone, func(z *zoneRecord) {
		e := z.edge(name)
		changed = e.refused != nil
		e.accepted, e.refused = revision, nil
		i.views.revision(zone)
	})
	i.config.Events.Progressed(zone)
	if changed {
		i.config.Events.ZoneChanged(zone)
	}
}

// Refused notes that an edge did not apply a revision; it keeps what it had.
func (i *Inventory) Refused(zone, name string, revision int64, message string) {
	i.change(zone, func(z *zoneRecord) {
		z.edge(name).refused = &feedpb.Condition{
			Type: "Revision", Reason: "RevisionRefused",
			Message: fmt.Sprintf("revision %d: %s", revision, message),
		}
	})
	i.config.Events.ZoneChanged(zone)
}

// Published notes the newest revision made for a zone.
func (i *Inventory) Published(zone string, revision int64) {
	i.change(zone, func(z *zoneRecord) {
		z.published = revision
		i.views.revision(zone)
	})
}

// Edges is what a zone's edges say.
type Edges struct {
	// Connected are the names of those connected, sorted.
	Connected []string
	// Addresses at which agents reach the zone's edges, sorted.
	Addresses []string
	// Conditions they complain of, each message with the edge's name, sorted by reason; of one reason there is one.
	Conditions []*feedpb.Condition
}

// Edges returns what is known of a zone's edges. Addresses include those of edges that went away.
func (i *Inventory) Edges(zone string) Edges {
	i.mu.Lock()
	defer i.mu.Unlock()
	var all Edges
	z := i.zones[zone]
	if z == nil {
		return all
	}
	byReason := map[string]*feedpb.Condition{}
	for _, name := range slices.Sorted(maps.Keys(z.edges)) {
		e := z.edges[name]
		all.Addresses = append(all.Addresses, e.advertise...)
		if e.connected {
			all.Connected = append(all.Connected, name)
			gather(byReason, name, e.conditions)
			if e.refused != nil {
				gather(byReason, name, []*feedpb.Condition{e.refused})
			}
		}
	}
	slices.Sort(all.Addresses)
	all.Addresses = slices.Compact(all.Addresses)
	for _, t := range slices.Sorted(maps.Keys(byReason)) {
		all.Conditions = append(all.Conditions, byReason[t])
	}
	return all
}

// gather adds an edge's complaints. Complaints for one reason become one, with all messages; its type is
// the reason, because an edge's own types name places such as files.
func gather(byReason map[string]*feedpb.Condition, name string, conditions []*feedpb.Condition) {
	for _, c := range conditions {
		reason, message := camelCase(c.Reason), fmt.Sprintf("edge %s: %s", name, c.Message)
		if known := byReason[reason]; known != nil {
			known.Message += "; " + message
			continue
		}
		byReason[reason] = &feedpb.Condition{Type: reason, Reason: reason, Message: message}
	}
}

// camelCase is a reason, if edges of any version send one, in the letters that a condition may have.
func camelCase(reason string) string {
	letters := strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII && unicode.IsLetter(r) {
			return r
		}
		return -1
	}, reason)
	if letters == "" {
		return "ReportedByEdge"
	}
	return letters
}

// change does something to a zone under the mutex.
func (i *Inventory) change(name string, f func(*zoneRecord)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f(i.zone(name))
}

// redisplay marks what looks different when an edge comes or goes.
func (i *Inventory) redisplay(zone string, z *zoneRecord, edge string) {
	for _, w := range z.workloads {
		if w.edge == edge {
			i.views.workload(zone, w.said)
		}
	}
	i.views.revision(zone)
}

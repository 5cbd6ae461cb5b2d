package hub

import (
	"fmt"
	"math"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/hub/inventory"
)

// Reasons of conditions that are as wished, or about to be.
const (
	reasonProgrammed  = "Programmed"
	reasonPending     = "Pending"
	reasonNotAccepted = "NotAccepted"
	reasonNotRejected = "NotRejected"
	reasonConnected   = "Connected"
	reasonNoEdge      = "NoEdge"
)

// maxMessage is the length a condition's message may have, as its schema says.
const maxMessage = 32768

// verdict is what has to be written: a patch of an object's status. again is when to look anew, 0 for never.
type verdict struct {
	uid   types.UID
	patch document
	again time.Duration
}

// verdict returns what has to be written of an object; ok is false when its storage says it already,
// or when nothing is known to say.
func (l *ledger) verdict(key inventory.Object) (v verdict, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[key]
	if e == nil || e.said.Kind == "" && key.Kind != kindZone {
		return v, false
	}
	v = verdict{uid: e.uid, patch: compiled(e.said)}
	switch {
	case key.Kind == kindZone:
		l.sayZone(key.Name, &v.patch)
		l.sayCluster(key.Name, e.stored, &v.patch)
	case travels(key.Kind):
		v.again = l.sayTravelled(key, e, &v.patch)
	}
	v.patch.settle(e.stored, l.now())
	return v, !e.stored.covers(v.patch)
}

// wrote notes that a patch was stored.
func (l *ledger) wrote(key inventory.Object, v verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.entries[key]; e != nil && e.uid == v.uid {
		e.stored = v.patch
	}
}

// sayTravelled adds what became of an object on its way to the proxies.
func (l *ledger) sayTravelled(key inventory.Object, e *entry, d *document) (again time.Duration) {
	degraded := l.degraded(key, e)
	if find(d.Conditions, v1alpha1.ConditionDegraded) == nil || degraded.Status == metav1.ConditionTrue {
		d.say(degraded)
	}
	programmed := metav1.Condition{Type: v1alpha1.ConditionProgrammed, Status: metav1.ConditionFalse, ObservedGeneration: e.said.Generation}
	switch {
	case !accepted(e.said):
		programmed.Reason, programmed.Message = reasonNotAccepted, "see condition Accepted"
	case degraded.Status == metav1.ConditionTrue:
		programmed.Reason, programmed.Message = degraded.Reason, "see condition Degraded"
		again = l.patience(e)
	case e.receipt != "":
		programmed.Status, programmed.Reason, programmed.Message = metav1.ConditionTrue, reasonProgrammed, e.receipt
	default:
		programmed.Reason, programmed.Message = reasonPending, l.waitingFor(e)
		again = l.patience(e)
	}
	d.sayProgrammed(programmed)
	if conflicted := find(d.Conditions, v1alpha1.ConditionConflicted); conflicted != nil {
		d.say(*conflicted)
	}
	return again
}

// degraded says whether a proxy refuses what the object asks for. What is stored stands until every
// zone concerned has told: a hub that has just started knows of no refusal yet.
func (l *ledger) degraded(key inventory.Object, e *entry) metav1.Condition {
	c := metav1.Condition{
		Type: v1alpha1.ConditionDegraded, Status: metav1.ConditionFalse, Reason: reasonNotRejected,
		ObservedGeneration: e.said.Generation,
	}
	if refusals := l.inventory.Refusals(key, e.said.Generation); len(refusals) > 0 {
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, problem.Rejected.Reason, refused(refusals)
		return c
	}
	stored := find(e.stored.conditions(), c.Type)
	if stored == nil || stored.Status != metav1.ConditionTrue || stored.ObservedGeneration != c.ObservedGeneration {
		return c
	}
	for _, zone := range e.said.Zones {
		if _, tells := l.inventory.Floor(zone); !tells {
			return *stored
		}
	}
	return c
}

// patience is when an object that waits is looked at again: often at first, seldom later, so that
// thousands that wait for one dead proxy cost little.
func (l *ledger) patience(e *entry) time.Duration {
	return min(max(l.now().Sub(e.since), time.Second), time.Minute)
}

// refused names who refused what, in Envoy's words.
func refused(refusals []inventory.Refusal) string {
	parts := make([]string, len(refusals))
	for i, r := range refusals {
		who := "the edge"
		if n := len(r.Proxies); n > 0 {
			who = r.Proxies[0]
			if n > 1 {
				who = fmt.Sprintf("%s and %d more", who, n-1)
			}
		}
		parts[i] = fmt.Sprintf("%s of zone %s refused %s: %s", who, r.Zone, r.Resource, r.Message)
	}
	text := strings.Join(parts, "; ") + ". " + problem.Rejected.Remedy
	return text[:min(len(text), maxMessage)]
}

func receipt(current, proxies, zones int) string {
	return fmt.Sprintf("%d of %d proxies in %d zone(s) run it", current, proxies, zones)
}

// waitingFor says how many run an object and names one that does not.
func (l *ledger) waitingFor(e *entry) string {
	if c := find(e.said.Conditions, v1alpha1.ConditionConflicted); len(e.said.Zones) == 0 && c != nil && c.Status == metav1.ConditionTrue {
		return "see condition Conflicted"
	}
	if len(e.said.Zones) == 0 {
		return "no zone is concerned: it takes effect when one is"
	}
	current, proxies, missing := 0, 0, ""
	for _, zone := range e.said.Zones {
		revision, away := e.away[zone]
		if !away {
			revision = math.MinInt64
		}
		p := l.inventory.Progress(zone, revision)
		proxies += p.Proxies
		current += p.Proxies - p.Behind
		if missing == "" && away {
			missing = lacking(zone, p)
		}
	}
	text := receipt(current, proxies, len(e.said.Zones))
	if missing != "" {
		text += "; waiting for " + missing
	}
	return text
}

// lacking names who keeps a zone from having reached a revision.
func lacking(zone string, p inventory.Progress) string {
	switch {
	case p.Edges == 0:
		return "an edge of zone " + zone + " to connect"
	case p.EdgeBehind != "":
		return "edge " + p.EdgeBehind + " of zone " + zone
	}
	return p.FirstBehind
}

// sayZone adds what is known of a zone's edges.
func (l *ledger) sayZone(name string, d *document) {
	edges := l.inventory.Edges(name)
	count := int32(len(edges.Connected))
	d.Edges, d.Addresses = &count, marshalled(words(edges.Addresses))
	connected := metav1.Condition{Type: v1alpha1.ConditionConnected, Status: metav1.ConditionFalse, Reason: reasonNoEdge, Message: "no edge of the zone is connected; what it has goes on working"}
	if count > 0 {
		connected.Status, connected.Reason, connected.Message = metav1.ConditionTrue, reasonConnected, strings.Join(edges.Connected, ", ")
	}
	d.Conditions = put(d.Conditions, connected)
	for _, c := range edges.Conditions {
		if find(d.Conditions, c.Type) == nil {
			d.Conditions = put(d.Conditions, metav1.Condition{Type: c.Type, Status: metav1.ConditionTrue, Reason: c.Reason, Message: c.Message[:min(len(c.Message), maxMessage)]})
		}
	}
}

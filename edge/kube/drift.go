package kube

import (
	"fmt"
	"strings"
	"time"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// Drift is a change of one of our objects by others, which was put back.
type Drift struct {
	// Resource is the feed's name of the object.
	Resource string
	Origins  []*feedpb.Origin
	// Deleted is whether the object was gone. Kubernetes does not say who deletes.
	Deleted bool
	// Manager is the field manager of the change, Fields what it set and Time when, as far as the object
	// says so; a field that was only taken away leaves no trace.
	Manager string
	Fields  []string
	Time    time.Time
}

// String tells it to people.
func (d Drift) String() string {
	if d.Deleted {
		return d.Resource + " was deleted"
	}
	if d.Manager == "" {
		return d.Resource + " was changed by somebody unknown"
	}
	return fmt.Sprintf("%s was changed by %s at %s: %s", d.Resource, d.Manager, d.Time.UTC().Format(time.RFC3339), strings.Join(d.Fields, ", "))
}

// driftOf is what happened to an object that was as wanted.
func driftOf(w *wanted, l *live) Drift {
	d := Drift{Resource: w.Name, Origins: w.Origins, Deleted: l == nil}
	if l != nil && len(l.others) > 0 {
		last := l.others[0]
		d.Manager, d.Fields, d.Time = last.name, last.fields, last.time
	}
	return d
}

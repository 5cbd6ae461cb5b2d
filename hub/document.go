package hub

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler"
)

// document is the status of an object of any kind: each has some of the fields. What is nil is
// none of the hub's business and stays as it is.
type document struct {
	Conditions []metav1.Condition            `json:"conditions,omitzero"`
	Parents    []gatewayv1.RouteParentStatus `json:"parents,omitzero"`
	Listeners  []gatewayv1.ListenerStatus    `json:"listeners,omitzero"`
	Edges      *int32                        `json:"edges,omitempty"`
	// Addresses have one form in Zones and another in Gateways.
	Addresses json.RawMessage `json:"addresses,omitempty"`
	// Cluster is a [v1alpha1.ClusterStatus], or null where one has to go.
	Cluster json.RawMessage `json:"cluster,omitempty"`
}

// documentOf is the status an object carries. Of routes it lacks the conditions beside parents, which
// their Go types do not know (docs/adr/0003-route-conditions.md).
func documentOf(object runtime.Object) document {
	var carrier struct {
		Status document `json:"status"`
	}
	text, err := json.Marshal(object)
	if err == nil {
		err = json.Unmarshal(text, &carrier)
	}
	if err != nil {
		return document{} // a status of another form: it is written anew
	}
	return carrier.Status
}

// settle gives every condition the time of its last transition: that of the same condition in the
// document before, or now.
func (d *document) settle(before document, now time.Time) {
	stamp := metav1.NewTime(now.Truncate(time.Second))
	settle(d.Conditions, before.conditions(), stamp)
	for i, parent := range d.Parents {
		settle(parent.Conditions, conditionsOfParent(before, parent, i), stamp)
	}
	for _, listener := range d.Listeners {
		settle(listener.Conditions, conditionsOfListener(before, listener.Name), stamp)
	}
}

// conditions are those of the object as a whole; of a route read back, those of its first parent.
func (d document) conditions() []metav1.Condition {
	if d.Conditions == nil && len(d.Parents) > 0 {
		return d.Parents[0].Conditions
	}
	return d.Conditions
}

func settle(conditions, before []metav1.Condition, stamp metav1.Time) {
	for i := range conditions {
		c := &conditions[i]
		c.LastTransitionTime = stamp
		if old := find(before, c.Type); old != nil && old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
	}
}

func find(conditions []metav1.Condition, name string) *metav1.Condition {
	for i := range conditions {
		if conditions[i].Type == name {
			return &conditions[i]
		}
	}
	return nil
}

func conditionsOfParent(d document, parent gatewayv1.RouteParentStatus, at int) []metav1.Condition {
	if at < len(d.Parents) && sameJSON(d.Parents[at].ParentRef, parent.ParentRef) {
		return d.Parents[at].Conditions
	}
	return nil
}

func conditionsOfListener(d document, name gatewayv1.SectionName) []metav1.Condition {
	for _, listener := range d.Listeners {
		if listener.Name == name {
			return listener.Conditions
		}
	}
	return nil
}

// covers tells whether a stored document says all that a wished one says. A stored one without
// conditions but with parents is a route read back: its parents say the same as its conditions.
func (stored document) covers(wish document) bool {
	if stored.Conditions == nil && len(wish.Parents) > 0 {
		stored.Conditions = wish.Conditions
	}
	if wish.Addresses == nil {
		stored.Addresses = nil // those of a Gateway
	}
	if wish.Cluster == nil {
		stored.Cluster = nil
	}
	return sameJSON(stored, wish)
}

// merge takes a route's stored status in: what it says of the conditions beside parents is known
// only from what was written last.
func (stored *document) merge(read document) {
	if read.Conditions == nil && read.Parents != nil && sameJSON(stored.Parents, read.Parents) {
		read.Conditions = stored.Conditions
	}
	*stored = read
}

func sameJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// compiled is what the compiler says of an object, as a document of its own.
func compiled(said compiler.ObjectStatus) document {
	d := document{Conditions: observed(said.Conditions, said.Generation)}
	if isRoute(said.Kind) {
		d.Parents = []gatewayv1.RouteParentStatus{}
	}
	for _, parent := range said.Parents {
		parent.Conditions = observed(parent.Conditions, said.Generation)
		d.Parents = append(d.Parents, parent)
	}
	if said.Kind == kindGateway {
		d.Listeners = []gatewayv1.ListenerStatus{}
	}
	for _, listener := range said.Listeners {
		listener.Conditions = observed(listener.Conditions, said.Generation)
		if listener.SupportedKinds == nil {
			listener.SupportedKinds = []gatewayv1.RouteGroupKind{}
		}
		d.Listeners = append(d.Listeners, listener)
	}
	return d
}

// observed copies conditions and says which generation they are about.
func observed(conditions []metav1.Condition, generation int64) []metav1.Condition {
	copied := make([]metav1.Condition, len(conditions))
	for i, c := range conditions {
		c.ObservedGeneration = generation
		copied[i] = c
	}
	return copied
}

// say puts a condition in the place of the one of its type, also with every parent of a route.
func (d *document) say(c metav1.Condition) {
	d.Conditions = put(d.Conditions, c)
	for i := range d.Parents {
		d.Parents[i].Conditions = put(d.Parents[i].Conditions, c)
	}
}

// sayProgrammed is say for Programmed: a parent that does not accept the route, or a listener that cannot
// serve, is not.
func (d *document) sayProgrammed(c metav1.Condition) {
	d.Conditions = put(d.Conditions, c)
	for i, parent := range d.Parents {
		d.Parents[i].Conditions = put(parent.Conditions, unless(c, parent.Conditions, v1alpha1.ConditionAccepted))
	}
	for i, listener := range d.Listeners {
		d.Listeners[i].Conditions = put(listener.Conditions, unless(c, listener.Conditions, v1alpha1.ConditionAccepted, v1alpha1.ConditionResolvedRefs))
	}
}

// unless is the condition, or its opposite where one of those it depends on is False.
func unless(c metav1.Condition, beside []metav1.Condition, needs ...string) metav1.Condition {
	for _, need := range needs {
		if n := find(beside, need); n != nil && n.Status == metav1.ConditionFalse {
			c.Status, c.Reason, c.Message = metav1.ConditionFalse, n.Reason, "see condition "+need
		}
	}
	return c
}

// put keeps conditions sorted by type.
func put(conditions []metav1.Condition, c metav1.Condition) []metav1.Condition {
	i, found := slices.BinarySearchFunc(conditions, c.Type, func(c metav1.Condition, name string) int {
		return strings.Compare(c.Type, name)
	})
	if found {
		conditions[i] = c
		return conditions
	}
	return slices.Insert(conditions, i, c)
}

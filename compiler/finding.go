package compiler

import (
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// subject tells a status unit that its object exists.
type subject struct {
	generation int64
}

// finding is something a unit has to say about an object, for a condition of its status.
type finding struct {
	// condition the finding belongs to, and the status it gives it.
	condition string
	status    metav1.ConditionStatus
	reason    string
	// detail says what is wrong, remedy what to do.
	detail, remedy string
	// parent is which parentRef of a route this is about; whole for all of the object.
	parent int
	// listener of a Gateway this is about.
	listener string
	// lost says that a route does not serve one of its hostnames.
	lost bool
}

// Condition types beside those of every intent kind, which stand in v1alpha1.
const (
	conditionConflicted       = v1alpha1.ConditionConflicted
	conditionPartiallyInvalid = string(gatewayv1.RouteConditionPartiallyInvalid)
)

// whole says that a finding is about all of an object.
const whole = -1

// against is a finding that a condition is not as wished, with the reason and remedy of a problem.
func against(condition string, err *problem.Error) finding {
	status := metav1.ConditionFalse
	if condition == conditionConflicted || condition == conditionPartiallyInvalid {
		status = metav1.ConditionTrue
	}
	return finding{condition: condition, status: status, reason: err.Reason, detail: err.Detail, remedy: err.Remedy, parent: whole}
}

// because makes the finding carry another reason than the problem's own: one that the Gateway API
// prescribes.
func (f finding) because(reason string) finding {
	f.reason = reason
	return f
}

// at makes the finding one about a parent of a route.
func (f finding) at(parent int) finding {
	f.parent = parent
	return f
}

// report sends a finding to the status of an object.
func (w *work) report(kind, namespace, name string, f finding) {
	w.send(statusKey(kind, namespace, name), f)
}

// origin names an object, and the field of it, that something is made from.
func origin(o metav1.Object, kind, field string) plan.Origin {
	return plan.Origin{Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName(), Field: field, Generation: o.GetGeneration()}
}

// at is the path of an element of a list.
func at(list string, index int) string { return list + "[" + strconv.Itoa(index) + "]" }

// element is the path of an element of a list somewhere in an object. It is text only when it is read.
type element struct {
	parent, list string
	index        int
}

func (e element) String() string { return at(e.parent+"."+e.list, e.index) }

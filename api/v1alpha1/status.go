package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Status is what the hub says of an object: conditions in Kubernetes' sense. A condition that
// is not as wished carries a reason from the error catalogue and a message that ends in a remedy.
type Status struct {
	// Conditions: Accepted, ResolvedRefs, Programmed, Conflicted, Degraded.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// The condition types of every intent kind.
const (
	// ConditionAccepted is True when the object is well formed and takes part in the plan.
	ConditionAccepted = "Accepted"
	// ConditionResolvedRefs is True when everything the object names exists.
	ConditionResolvedRefs = "ResolvedRefs"
	// ConditionProgrammed is True when every proxy concerned has acknowledged this generation.
	ConditionProgrammed = "Programmed"
	// ConditionConflicted is True when another object wants something else.
	ConditionConflicted = "Conflicted"
	// ConditionDegraded is True when a proxy rejected this generation; the last good one serves.
	ConditionDegraded = "Degraded"
	// ConditionConnected, on a Zone, is True while at least one of its edges is connected.
	ConditionConnected = "Connected"
)

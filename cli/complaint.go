package cli

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
)

// wishes is the status each type of condition has when all is well. Programmed is not among them:
// that a change is under way is no complaint. Types that nobody here knows are warnings while True.
var wishes = map[string]metav1.ConditionStatus{
	v1alpha1.ConditionAccepted:     metav1.ConditionTrue,
	v1alpha1.ConditionResolvedRefs: metav1.ConditionTrue,
	v1alpha1.ConditionConnected:    metav1.ConditionTrue,
	v1alpha1.ConditionProgrammed:   "",
}

// wrong tells whether a condition is not as wished.
func wrong(c metav1.Condition) bool {
	wish, positive := wishes[c.Type]
	switch {
	case wish == "" && positive:
		return false
	case positive:
		return c.Status == metav1.ConditionFalse
	}
	return c.Status == metav1.ConditionTrue
}

// complaints are the messages of an object's conditions that are not as wished: its own, and those
// that the Gateway API keeps per parent of a route and per listener of a gateway.
func complaints(object map[string]any) []string {
	status, _, _ := unstructured.NestedMap(object, "status")
	holders := []any{status}
	for _, field := range []string{"parents", "listeners"} {
		if items, ok := status[field].([]any); ok {
			holders = append(holders, items...)
		}
	}
	var texts []string
	for _, holder := range holders {
		for _, c := range conditionsOf(holder) {
			if wrong(c) {
				texts = append(texts, fmt.Sprintf("%s: %s", c.Reason, c.Message))
			}
		}
	}
	return texts
}

// conditionsOf reads the field conditions of a status, or of a part of one; what is not readable is
// left out, since the hub checked it when it was written.
func conditionsOf(holder any) []metav1.Condition {
	fields, ok := holder.(map[string]any)
	if !ok {
		return nil
	}
	var part struct {
		Conditions []metav1.Condition `json:"conditions"`
	}
	only := map[string]any{"conditions": fields["conditions"]}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(only, &part); err != nil {
		return nil
	}
	return part.Conditions
}

// subject names an object as people do: "HTTPRoute shop/reviews".
func subject(object unstructured.Unstructured) string {
	name := object.GetName()
	if object.GetNamespace() != "" {
		name = object.GetNamespace() + "/" + name
	}
	return object.GetKind() + " " + name
}

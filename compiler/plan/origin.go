package plan

import (
	"cmp"
	"strings"
)

// Origin is an object of intent, and the field of it, that something was made from.
type Origin struct {
	Kind, Namespace, Name string
	// Field is a path inside the object, for instance "spec.rules[0]"; empty means all of it.
	Field      string
	Generation int64
}

// String is "KIND/NAMESPACE/NAME FIELD"; the name of every route in Envoy is one.
func (o Origin) String() string {
	text := o.Kind + "/" + o.Namespace + "/" + o.Name
	if o.Field != "" {
		text += " " + o.Field
	}
	return text
}

// Compare orders origins by object, then field.
func (o Origin) Compare(other Origin) int {
	return cmp.Or(
		strings.Compare(o.Kind, other.Kind),
		strings.Compare(o.Namespace, other.Namespace),
		strings.Compare(o.Name, other.Name),
		strings.Compare(o.Field, other.Field),
	)
}

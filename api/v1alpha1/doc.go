// Package v1alpha1 holds the intent kinds of the API group isthmus.dev: what a
// platform engineer, an application team or a machine owner writes down.
//
// The Go types are the only source of the schema: the CustomResourceDefinitions
// beside them, their defaults, validation rules and printer columns are generated
// from the comments ("make generate"). Live state is not here but in
// [github.com/isthmus-mesh/isthmus/api/view/v1alpha1].
//
// +kubebuilder:object:generate=true
// +groupName=isthmus.dev
package v1alpha1

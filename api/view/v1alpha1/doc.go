// Package v1alpha1 holds the views: live state that the hub serves read-only under
// view.isthmus.dev, from memory. Views are never stored and never written by users; they are
// as old as the last report of the zone's edge.
//
// +kubebuilder:object:generate=true
// +groupName=view.isthmus.dev
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=dev.isthmus.view.v1alpha1
package v1alpha1

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Subset is a part of a service: a version, a zone, or what a label selector says. The subsets
// SERVICE-VERSION and SERVICE-ZONE exist without an object as soon as such workloads join.
// Routes name a subset as a backend of kind Subset.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=isthmus,shortName=sub
// +kubebuilder:printcolumn:name="Service",type=string,JSONPath=`.spec.service`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.spec.version`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Subset struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   SubsetSpec `json:"spec"`
	Status Status     `json:"status,omitempty"`
}

// SubsetSpec narrows a service.
//
// +kubebuilder:validation:XValidation:rule="has(self.version) || has(self.zone) || has(self.labels)",message="a subset narrows by version, zone or labels"
type SubsetSpec struct {
	// Service is the name of the service, in the same workspace.
	// +kubebuilder:validation:MinLength=1
	Service string `json:"service"`
	// Version narrows to workloads of that version.
	// +optional
	Version string `json:"version,omitempty"`
	// Zone narrows to workloads of that zone.
	// +optional
	Zone string `json:"zone,omitempty"`
	// Labels narrows to workloads that carry all of them.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
}

// SubsetList is a list of subsets.
//
// +kubebuilder:object:root=true
type SubsetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Subset `json:"items"`
}

package v1alpha1

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Workspace is one team's part of the mesh. It owns the hub namespace of the same
// name: the team's services, routes and policies live there, and its workloads
// carry the identity spiffe://TRUST-DOMAIN/ns/WORKSPACE/sa/SERVICE.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories=isthmus,shortName=ws
// +kubebuilder:printcolumn:name="Tenant",type=string,JSONPath=`.spec.tenant`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Workspace struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   WorkspaceSpec `json:"spec,omitempty"`
	Status Status        `json:"status,omitempty"`
}

// WorkspaceSpec says which workloads and hostnames belong to the workspace.
type WorkspaceSpec struct {
	// Tenant is the name of the owning Tenant; empty means none.
	// +optional
	Tenant string `json:"tenant,omitempty"`

	// Zones lists where the workspace lives: "ZONE", or "ZONE/NAMESPACE" for a Kubernetes zone, with the
	// namespace of the cluster that belongs to the workspace. Without one that is the namespace named
	// like the workspace. Empty means every zone of machines: a cluster is touched only where a
	// workspace claims it. A namespace that several workspaces name, here or in observe, belongs to the
	// oldest of them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=317
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$`
	Zones []string `json:"zones,omitempty"`

	// Observe lists namespaces of clusters, written as in zones, that are looked at and not managed: their
	// services and workloads are shown, nothing is written into the cluster for them, no route is about them
	// and no request of other zones goes there. To manage one, move its entry to zones.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=317
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$`
	Observe []string `json:"observe,omitempty"`

	// Hostnames are the external names that Gateways of this workspace may serve, exact
	// ("shop.example.com") or with a leading wildcard ("*.shop.example.com"). A name belongs to
	// the oldest workspace that claims it. Empty means: any name no other workspace claims.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	Hostnames []string `json:"hostnames,omitempty"`

	// Imports lists the workspaces whose exported services this one calls. The workloads of a
	// workspace are configured for its own services and these; empty means its own only.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	Imports []string `json:"imports,omitempty"`
}

// NamesZone is whether Zones names a zone, with a namespace of it or without.
func (s *WorkspaceSpec) NamesZone(zone string) bool {
	return slices.ContainsFunc(s.Zones, func(entry string) bool {
		name, _, _ := strings.Cut(entry, "/")
		return name == zone
	})
}

// WorkspaceList is a list of workspaces.
//
// +kubebuilder:object:root=true
type WorkspaceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Workspace `json:"items"`
}

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Workload is one running instance of a service, in the namespace of its workspace.
//
// +kubebuilder:object:root=true
type Workload struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   WorkloadSpec   `json:"spec"`
	Status WorkloadStatus `json:"status"`
}

// WorkloadSpec is what the workload's agent said of it.
type WorkloadSpec struct {
	// Zone the workload runs in.
	Zone string `json:"zone"`
	// Service it belongs to.
	Service string `json:"service"`
	// Version of the service.
	Version string `json:"version,omitempty"`
	// Host is the machine's name.
	Host string `json:"host,omitempty"`
	// Addresses at which callers reach it.
	Addresses []string `json:"addresses,omitempty"`
	// Ports it serves.
	Ports []WorkloadPort `json:"ports,omitempty"`
}

// WorkloadPort is a port of a workload.
type WorkloadPort struct {
	Port     int32  `json:"port"`
	Protocol string `json:"protocol"`
}

// WorkloadStatus is its state.
type WorkloadStatus struct {
	// Health is Healthy, Unhealthy or Unknown.
	Health string `json:"health"`
	// Connected is whether its agent is connected to an edge.
	Connected bool `json:"connected"`
	// Reason of a state that is not healthy, or what should be known of a healthy one.
	Reason string `json:"reason,omitempty"`
}

// Proxy is one Envoy, in the namespace of its workspace; it has the name of its workload.
//
// +kubebuilder:object:root=true
type Proxy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ProxySpec   `json:"spec"`
	Status ProxyStatus `json:"status"`
}

// ProxySpec says which proxy it is.
type ProxySpec struct {
	Zone    string `json:"zone"`
	Service string `json:"service"`
	// Role is sidecar or gateway.
	Role string `json:"role"`
	// Version of Envoy and of the agent.
	Version string `json:"version,omitempty"`
}

// ProxyStatus says what the proxy runs.
type ProxyStatus struct {
	// Connected is whether the proxy takes configuration now.
	Connected bool `json:"connected"`
	// Revision of intent it acknowledged last.
	Revision int64 `json:"revision"`
	// Rejections are what it refused and has not accepted since.
	Rejections []Rejection `json:"rejections,omitempty"`
}

// Rejection is configuration that Envoy refused.
type Rejection struct {
	// Object that caused it, "kind/namespace/name".
	Object string `json:"object"`
	// Message in Envoy's words.
	Message string `json:"message"`
}

// DiscoveredService is a service as its workloads make it, in the namespace of its workspace.
//
// +kubebuilder:object:root=true
type DiscoveredService struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   DiscoveredServiceSpec   `json:"spec"`
	Status DiscoveredServiceStatus `json:"status"`
}

// DiscoveredServiceSpec is what the workloads say together.
type DiscoveredServiceSpec struct {
	// Hosts the service answers to.
	Hosts []string `json:"hosts,omitempty"`
	// Ports of the service.
	Ports []WorkloadPort `json:"ports,omitempty"`
	// Versions seen.
	Versions []string `json:"versions,omitempty"`
	// Zones it lives in.
	Zones []string `json:"zones,omitempty"`
}

// DiscoveredServiceStatus counts its workloads.
type DiscoveredServiceStatus struct {
	Workloads int32 `json:"workloads"`
	Healthy   int32 `json:"healthy"`
}

// Revision is a state of the intent and how far it has travelled, one object per zone.
//
// +kubebuilder:object:root=true
type Revision struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   RevisionSpec   `json:"spec"`
	Status RevisionStatus `json:"status"`
}

// RevisionSpec names the newest revision compiled for a zone.
type RevisionSpec struct {
	Zone string `json:"zone"`
	// Revision is the storage revision of the hub.
	Revision int64 `json:"revision"`
}

// RevisionStatus says who has it.
type RevisionStatus struct {
	// Edge is the revision the zone's slowest connected edge accepted.
	Edge int64 `json:"edge"`
	// Proxies connected, and how many of them acknowledged the newest revision.
	Proxies int32 `json:"proxies"`
	Current int32 `json:"current"`
}

// WorkloadList is a list of workloads.
//
// +kubebuilder:object:root=true
type WorkloadList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Workload `json:"items"`
}

// ProxyList is a list of proxies.
//
// +kubebuilder:object:root=true
type ProxyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Proxy `json:"items"`
}

// DiscoveredServiceList is a list of discovered services.
//
// +kubebuilder:object:root=true
type DiscoveredServiceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DiscoveredService `json:"items"`
}

// RevisionList is a list of revisions.
//
// +kubebuilder:object:root=true
type RevisionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Revision `json:"items"`
}

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ZoneType says how an edge configures the workloads of a zone.
//
// +kubebuilder:validation:Enum=machines;kubernetes
type ZoneType string

const (
	// ZoneMachines is a zone of machines without Kubernetes: its edge runs Istio's Pilot.
	ZoneMachines ZoneType = "machines"
	// ZoneKubernetes is a cluster that runs Istio: its edge writes Istio objects, and istiod stays in
	// charge of its proxies.
	ZoneKubernetes ZoneType = "kubernetes"
)

// ClusterAnnotation of a zone says which cluster it is, by the UID of that one's namespace kube-system. The first edge
// that joins from a cluster sets it; edges of other clusters are refused until somebody takes it off.
const ClusterAnnotation = "isthmus.dev/cluster"

// Zone is a place where workloads run and which one or more edges configure.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories=isthmus,shortName=zn
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Edges",type=integer,JSONPath=`.status.edges`
// +kubebuilder:printcolumn:name="Connected",type=string,JSONPath=`.status.conditions[?(@.type=="Connected")].status`
// +kubebuilder:printcolumn:name="Istio",type=string,JSONPath=`.status.cluster.istio.versions[*]`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Zone struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ZoneSpec   `json:"spec"`
	Status ZoneStatus `json:"status,omitempty"`
}

// ZoneSpec says what the zone is and where it lies.
//
// +kubebuilder:validation:XValidation:rule="!has(self.trust) || self.type == 'kubernetes'",message="a zone of machines has the mesh's trust domain and root"
// +kubebuilder:validation:XValidation:rule="self.type == 'kubernetes' || !has(self.eastWest) || !has(self.eastWest.discover) || !self.eastWest.discover",message="eastWest.discover: only clusters have gateways to discover; write the addresses"
type ZoneSpec struct {
	// Type is "machines", or "kubernetes" for a cluster that runs Istio.
	// +kubebuilder:default=machines
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the type of a zone cannot change: create another zone"
	Type ZoneType `json:"type,omitempty"`

	// Locality places the zone for failover.
	// +optional
	Locality Locality `json:"locality,omitempty"`

	// Network names the network the zone's workloads share; workloads of one network reach each
	// other directly. Empty means the zone's own name.
	// +optional
	Network string `json:"network,omitempty"`

	// EastWest says where other zones enter this one.
	// +optional
	EastWest EastWest `json:"eastWest,omitempty"`

	// Trust says that a cluster which keeps a root and a trust domain of its own is trusted for exactly that domain.
	// Without it such a cluster is trusted for nothing. isthmus zone federate writes it.
	// +optional
	Trust *ZoneTrust `json:"trust,omitempty"`
}

// ZoneTrust is who may vouch for the identities of a cluster.
//
// +kubebuilder:validation:XValidation:rule="self.domain != 'cluster.local'",message="policies of Istio take cluster.local for the trust domain of whichever zone they are in: give the cluster's Istio another trustDomain"
type ZoneTrust struct {
	// Domain is the trust domain of the cluster's Istio: its identities are "spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT".
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9._]*[a-z0-9])?$`
	Domain string `json:"domain"`

	// Roots are the certificates, PEM, under which the cluster's istiod issues its own. They are accepted for the
	// domain and for nothing else, and nothing else is accepted for it; several while one replaces another.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	Roots string `json:"roots"`
}

// EastWestPort is the port of an east-west gateway whose address names none: Istio's own choice.
const EastWestPort = 15443

// EastWest are the gateways through which other zones reach the services of a zone. Nothing of the zone is reached
// from others unless it says so here.
type EastWest struct {
	// Discover opens a cluster at the east-west gateways that its edge finds: Services labelled
	// "istio: eastwestgateway" or "topology.istio.io/network", with a port 15443 or named "tls", in namespaces that no
	// workspace claims. They are shown in status.cluster.gateways. A zone of machines has nothing to discover.
	// +optional
	Discover bool `json:"discover,omitempty"`

	// Addresses of the zone's east-west gateways, as other zones reach them: "HOST:PORT", or "HOST"
	// for port 15443. HOST is a name or an IP address, IPv6 in brackets. They open the zone, and are used
	// instead of those that are discovered.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=262
	// +kubebuilder:validation:items:Pattern=`^(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?)(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$`
	Addresses []string `json:"addresses,omitempty"`
}

// IsOpen is whether the zone is to be reached from others.
func (e *EastWest) IsOpen() bool { return e.Discover || len(e.Addresses) > 0 }

// Locality is a place in Envoy's sense.
type Locality struct {
	// Region, for instance "europe-west".
	// +optional
	Region string `json:"region,omitempty"`
	// Zone inside the region; empty means the name of the Zone object.
	// +optional
	Zone string `json:"zone,omitempty"`
}

// ZoneStatus is what the hub knows of the zone.
type ZoneStatus struct {
	Status `json:",inline"`

	// Edges is how many edges are connected.
	// +optional
	Edges int32 `json:"edges"`

	// Addresses are those at which agents reach the zone's edges, "host:port".
	// +optional
	// +listType=set
	Addresses []string `json:"addresses,omitempty"`

	// Cluster is what a zone that is a cluster shows of itself; none in a zone of machines.
	// +optional
	Cluster *ClusterStatus `json:"cluster,omitempty"`
}

// ZoneList is a list of zones.
//
// +kubebuilder:object:root=true
type ZoneList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Zone `json:"items"`
}

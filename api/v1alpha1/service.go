package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Protocol is the application protocol of a port.
//
// +kubebuilder:validation:Enum=http;http2;grpc;tcp;tls
type Protocol string

// The protocols a port may speak.
const (
	ProtocolHTTP  Protocol = "http"
	ProtocolHTTP2 Protocol = "http2"
	ProtocolGRPC  Protocol = "grpc"
	ProtocolTCP   Protocol = "tcp"
	ProtocolTLS   Protocol = "tls"
)

// Exposure says who may see a service.
//
// +kubebuilder:validation:Enum=workspace;all
type Exposure string

// Who may see a service.
const (
	ExposeWorkspace Exposure = "workspace"
	ExposeAll       Exposure = "all"
)

// Service refines a discovered service, or declares one outside of the mesh. Services are
// discovered from what agents say they serve; an object is needed only where that does not
// say it all. The service WORKSPACE/NAME answers to NAME (inside the workspace),
// NAME.WORKSPACE and NAME.WORKSPACE.mesh.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=isthmus,shortName=isvc
// +kubebuilder:printcolumn:name="Hosts",type=string,JSONPath=`.spec.hosts`
// +kubebuilder:printcolumn:name="Exposure",type=string,JSONPath=`.spec.exposure`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Programmed",type=string,JSONPath=`.status.conditions[?(@.type=="Programmed")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Service struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ServiceSpec `json:"spec,omitempty"`
	Status Status      `json:"status,omitempty"`
}

// ServiceSpec refines or declares a service.
//
// +kubebuilder:validation:XValidation:rule="!has(self.external) || (has(self.ports) && size(self.ports) > 0)",message="an external service declares its ports"
type ServiceSpec struct {
	// Hosts are further names of the service inside the mesh, beside its own three.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	Hosts []string `json:"hosts,omitempty"`

	// Ports declares ports; they replace discovered ports of the same number.
	// +optional
	// +listType=map
	// +listMapKey=port
	// +kubebuilder:validation:MaxItems=64
	Ports []ServicePort `json:"ports,omitempty"`

	// Selector says which workloads of the workspace form the service, by label. Empty means the
	// workloads that joined under this name.
	// +optional
	Selector map[string]string `json:"selector,omitempty"`

	// External makes this a service outside of the mesh, found by DNS.
	// +optional
	External *ExternalService `json:"external,omitempty"`

	// Exposure says which workspaces see the service.
	// +kubebuilder:default=workspace
	// +optional
	Exposure Exposure `json:"exposure,omitempty"`
}

// ServicePort is a port of a service.
type ServicePort struct {
	// Port is the number callers use, 1 to 65535.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
	// Protocol spoken on the port. There is no default: a wrong guess would cost routing and policy.
	Protocol Protocol `json:"protocol"`
	// TargetPort is the port of the workload; 0 means the same.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	TargetPort int32 `json:"targetPort,omitempty"`
}

// ExternalService is a service that Isthmus does not run.
type ExternalService struct {
	// Hostnames are resolved by DNS, or are IP addresses; each is an endpoint.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Hostnames []string `json:"hostnames"`
}

// ServiceList is a list of services.
//
// +kubebuilder:object:root=true
type ServiceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Service `json:"items"`
}

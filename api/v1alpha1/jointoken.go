package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// JoinRole says what a join token admits.
//
// +kubebuilder:validation:Enum=edge;workload;gateway
type JoinRole string

// What a join token admits.
const (
	JoinEdge     JoinRole = "edge"
	JoinWorkload JoinRole = "workload"
	JoinGateway  JoinRole = "gateway"
)

// JoinToken admits one edge, workload or gateway, once. The hub never sees the secret: only its
// SHA-256 is stored. A token is used up by the first key that presents it; the same key may present
// it again, so that a join whose answer was lost can be repeated.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories=isthmus,shortName=jt
// +kubebuilder:printcolumn:name="Role",type=string,JSONPath=`.spec.role`
// +kubebuilder:printcolumn:name="Zone",type=string,JSONPath=`.spec.zone`
// +kubebuilder:printcolumn:name="Workspace",type=string,JSONPath=`.spec.workspace`
// +kubebuilder:printcolumn:name="Service",type=string,JSONPath=`.spec.service`
// +kubebuilder:printcolumn:name="Expires",type=date,JSONPath=`.spec.expires`
// +kubebuilder:printcolumn:name="Used",type=date,JSONPath=`.status.usedAt`
type JoinToken struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   JoinTokenSpec   `json:"spec"`
	Status JoinTokenStatus `json:"status,omitempty"`
}

// JoinTokenSpec says whom the token admits.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a join token cannot change: create another one"
// +kubebuilder:validation:XValidation:rule="self.role == 'edge' || (has(self.workspace) && has(self.service))",message="a workload or gateway token names workspace and service"
type JoinTokenSpec struct {
	// Role admitted.
	Role JoinRole `json:"role"`
	// Zone the bearer joins.
	// +kubebuilder:validation:MinLength=1
	Zone string `json:"zone"`
	// Workspace of a workload or gateway.
	// +optional
	Workspace string `json:"workspace,omitempty"`
	// Service of a workload, or name of the Gateway; it becomes the service account of the identity.
	// +optional
	Service string `json:"service,omitempty"`
	// SecretSHA256 is the lower-case hexadecimal SHA-256 of the token's secret part.
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	SecretSHA256 string `json:"secretSHA256"`
	// Expires is the end of the token's life.
	Expires metav1.Time `json:"expires"`
}

// JoinTokenStatus says who used the token.
type JoinTokenStatus struct {
	// KeySHA256 is the SHA-256 of the public key (PKIX, DER) that used the token.
	// +optional
	KeySHA256 string `json:"keySHA256,omitempty"`
	// UsedAt is when.
	// +optional
	UsedAt *metav1.Time `json:"usedAt,omitempty"`
}

// JoinTokenList is a list of join tokens.
//
// +kubebuilder:object:root=true
type JoinTokenList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []JoinToken `json:"items"`
}

package v1alpha1

// ClusterStatus is what a cluster shows of itself, as its edge tells it.
type ClusterStatus struct {
	// Istio is the cluster's own.
	// +optional
	Istio IstioStatus `json:"istio"`

	// Services in the namespaces that workspaces claim.
	// +optional
	Services int32 `json:"services"`

	// Pods behind those services.
	// +optional
	Pods int32 `json:"pods"`

	// ServicesWithoutPods is how many of those services select pods and have none.
	// +optional
	ServicesWithoutPods int32 `json:"servicesWithoutPods"`

	// WithoutPods names the first of them, "namespace/name".
	// +optional
	WithoutPods []string `json:"withoutPods"`

	// Gateways for requests from other zones that are found in the cluster. They are used where spec.eastWest
	// discovers them.
	// +optional
	Gateways []ClusterGateway `json:"gateways"`

	// Unmanaged are the Istio objects of the whole cluster that others made, and that the edge leaves alone.
	// +optional
	// +listType=map
	// +listMapKey=kind
	Unmanaged []UnmanagedKind `json:"unmanaged"`
}

// IstioStatus is what is found of a cluster's Istio. All lists are empty where none is found.
type IstioStatus struct {
	// Versions that istiod has; two while it is upgraded.
	// +optional
	Versions []string `json:"versions"`

	// Revisions of istiod, as namespaces name them to be injected by one.
	// +optional
	Revisions []string `json:"revisions"`

	// Namespaces in which istiod runs.
	// +optional
	Namespaces []string `json:"namespaces"`

	// MeshIDs that proxies were told; more than one means that proxies of two meshes run side by side.
	// +optional
	MeshIDs []string `json:"meshIDs"`

	// TrustDomains that proxies were told; more than one means that proxies of two meshes run side by side.
	// +optional
	TrustDomains []string `json:"trustDomains"`

	// Trust is "mesh" when istiod issues certificates under the mesh's root, "federated" when under those that the
	// zone's spec.trust names, "own" when under another, and empty while that is not known.
	// +optional
	Trust ClusterTrust `json:"trust"`

	// Receipts is whether istiod is asked what proxies acknowledged. Where it is not, Programmed means for this cluster
	// that its API server has the configuration.
	// +optional
	Receipts bool `json:"receipts"`

	// Roots that istiod publishes, PEM, where they are not the mesh's.
	// +optional
	Roots string `json:"roots"`
}

// ClusterTrust says under which root a cluster issues certificates.
type ClusterTrust string

const (
	// TrustMesh is the mesh's root: workloads of all zones know each other.
	TrustMesh ClusterTrust = "mesh"
	// TrustFederated is a root of the cluster's own that the mesh accepts for the cluster's trust domain.
	TrustFederated ClusterTrust = "federated"
	// TrustOwn is a root of the cluster's own: other zones refuse its workloads, and they those of other zones.
	TrustOwn ClusterTrust = "own"
)

// ClusterGateway is an east-west gateway of a cluster: a Service.
type ClusterGateway struct {
	// Namespace of the Service.
	Namespace string `json:"namespace"`
	// Name of the Service.
	Name string `json:"name"`
	// Addresses at which other zones reach it, "HOST:PORT"; none while it has none.
	// +optional
	Addresses []string `json:"addresses"`
}

// UnmanagedKind is a number of objects of one kind.
type UnmanagedKind struct {
	// Kind, for instance "VirtualService".
	Kind string `json:"kind"`
	// Count of objects.
	Count int32 `json:"count"`
}

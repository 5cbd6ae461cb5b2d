package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// TrafficPolicy says how callers treat a service: load balancing, timeouts, retries, limits,
// ejection, failover. It is attached by targetRefs to Services, Subsets or HTTPRoutes of its workspace.
// Where two policies set the same field for one target the more specific target wins (Subset, then
// Service), then the older policy, then the name; both objects say so in condition Conflicted.
// What no policy sets keeps the product's defaults.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=isthmus,shortName=tp
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.spec.targetRefs[*].name`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Programmed",type=string,JSONPath=`.status.conditions[?(@.type=="Programmed")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type TrafficPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   TrafficPolicySpec `json:"spec"`
	Status Status            `json:"status,omitempty"`
}

// TrafficPolicySpec is the policy and what it is attached to.
type TrafficPolicySpec struct {
	// TargetRefs name what the policy applies to, in the same workspace.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	TargetRefs []TargetRef `json:"targetRefs"`

	// LoadBalancing picks the endpoint of a request. Default: least request.
	// +optional
	LoadBalancing *LoadBalancing `json:"loadBalancing,omitempty"`

	// Timeouts bound connections and requests. Default: connect 1s, no request timeout.
	// +optional
	Timeouts *Timeouts `json:"timeouts,omitempty"`

	// Retries of HTTP and gRPC requests. Default: 2 attempts on connection failure, refused streams and
	// unreachable hosts, each on another endpoint.
	// +optional
	Retries *Retries `json:"retries,omitempty"`

	// ConnectionLimits break the circuit. Default: no limit below Envoy's own.
	// +optional
	ConnectionLimits *ConnectionLimits `json:"connectionLimits,omitempty"`

	// OutlierDetection ejects endpoints that fail. Default: ejection on two successive connection errors.
	// +optional
	OutlierDetection *OutlierDetection `json:"outlierDetection,omitempty"`

	// Failover prefers near endpoints and moves on when they fail. Default: callers stay in their own zone while
	// the service is healthy there, and are shared by all other zones alike if not.
	// +optional
	Failover *Failover `json:"failover,omitempty"`

	// Fault injects delays and errors, for drills.
	// +optional
	Fault *Fault `json:"fault,omitempty"`

	// TLS to services outside of the mesh. Inside, mutual TLS is always on.
	// +optional
	TLS *ExternalTLS `json:"tls,omitempty"`
}

// TargetRef names an object a policy applies to.
type TargetRef struct {
	// Kind is Service, Subset or HTTPRoute.
	// +kubebuilder:validation:Enum=Service;Subset;HTTPRoute
	// +kubebuilder:default=Service
	// +optional
	Kind string `json:"kind,omitempty"`
	// Name of the object.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
}

// LoadBalancing picks endpoints.
//
// +kubebuilder:validation:XValidation:rule="(self.policy == 'ConsistentHash') == has(self.consistentHash)",message="consistentHash goes with policy ConsistentHash, and only with it"
type LoadBalancing struct {
	// Policy is RoundRobin, LeastRequest or ConsistentHash.
	// +kubebuilder:validation:Enum=RoundRobin;LeastRequest;ConsistentHash
	// +kubebuilder:default=LeastRequest
	// +optional
	Policy string `json:"policy,omitempty"`
	// ConsistentHash says what is hashed.
	// +optional
	ConsistentHash *ConsistentHash `json:"consistentHash,omitempty"`
}

// ConsistentHash is the key of a ring hash (Karger et al., 1997).
//
// +kubebuilder:validation:XValidation:rule="[has(self.header), has(self.cookie), has(self.source) && self.source].filter(x, x).size() == 1",message="set exactly one of header, cookie and source"
type ConsistentHash struct {
	// Header whose value is hashed.
	// +optional
	Header string `json:"header,omitempty"`
	// Cookie whose value is hashed; it is made when absent.
	// +optional
	Cookie *HashCookie `json:"cookie,omitempty"`
	// Source hashes the caller's address.
	// +optional
	Source bool `json:"source,omitempty"`
}

// HashCookie is a cookie that keeps a client on its endpoint.
type HashCookie struct {
	// Name of the cookie.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
	// TTL of a cookie made by the proxy; 0s makes a session cookie.
	// +kubebuilder:default="0s"
	// +optional
	TTL gatewayv1.Duration `json:"ttl,omitempty"`
}

// Timeouts bound waiting. Durations are Gateway API durations (GEP-2257), for instance "500ms".
type Timeouts struct {
	// Connect bounds establishing a connection to a service or a subset.
	// +optional
	Connect *gatewayv1.Duration `json:"connect,omitempty"`
	// Request bounds a whole request, retries included. A timeout of an HTTPRoute rule wins.
	// +optional
	Request *gatewayv1.Duration `json:"request,omitempty"`
	// Idle closes connections to a service or a subset without requests for that long.
	// +optional
	Idle *gatewayv1.Duration `json:"idle,omitempty"`
}

// Retries of failed requests.
type Retries struct {
	// Attempts after the first one; 0 switches retries off.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	// +kubebuilder:default=2
	Attempts int32 `json:"attempts"`
	// PerTryTimeout bounds each attempt.
	// +optional
	PerTryTimeout *gatewayv1.Duration `json:"perTryTimeout,omitempty"`
	// RetryOn lists when to retry, in Envoy's words, for instance "5xx" or "reset". It is not called "on",
	// which YAML 1.1 reads as true.
	// +optional
	// +listType=set
	// +kubebuilder:validation:items:Enum="5xx";"gateway-error";"connect-failure";"refused-stream";"reset";"reset-before-request";"retriable-4xx";"unavailable";"cancelled";"deadline-exceeded";"resource-exhausted";"internal"
	RetryOn []string `json:"retryOn,omitempty"`
	// BudgetPercent bounds concurrent retries to that share of active requests (Envoy's retry budget); three are
	// always allowed. It holds for a service or a subset, not for a route.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	BudgetPercent *int32 `json:"budgetPercent,omitempty"`
}

// ConnectionLimits bound what one proxy opens to a service.
type ConnectionLimits struct {
	// MaxConnections to the service. Each of the proxy's workers may have one to each endpoint in any case.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxConnections *int32 `json:"maxConnections,omitempty"`
	// MaxPendingRequests waiting for a connection.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxPendingRequests *int32 `json:"maxPendingRequests,omitempty"`
	// MaxRequests in flight.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxRequests *int32 `json:"maxRequests,omitempty"`
	// MaxRequestsPerConnection before it is closed.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxRequestsPerConnection *int32 `json:"maxRequestsPerConnection,omitempty"`
}

// OutlierDetection ejects endpoints for a while.
type OutlierDetection struct {
	// Consecutive5xx ejects after so many 5xx answers in a row; 0 switches it off.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Consecutive5xx *int32 `json:"consecutive5xx,omitempty"`
	// Interval between sweeps.
	// +kubebuilder:default="10s"
	// +optional
	Interval gatewayv1.Duration `json:"interval,omitempty"`
	// BaseEjectionTime is multiplied by how often the endpoint was ejected.
	// +kubebuilder:default="30s"
	// +optional
	BaseEjectionTime gatewayv1.Duration `json:"baseEjectionTime,omitempty"`
	// MaxEjectionPercent of the endpoints that may be out at once.
	// +kubebuilder:default=50
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	MaxEjectionPercent int32 `json:"maxEjectionPercent,omitempty"`
}

// Failover is locality failover as one setting: nothing else has to be set for it, because what fails is
// ejected by default. The region of a zone is its spec.locality.region; a zone that names none is alone in its own.
type Failover struct {
	// Prefer says what counts as near. With Zone, requests go to the caller's own zone; if nothing is healthy
	// there to other zones of its region, and else to all others. With Region, the zones of the caller's region
	// share requests alike, and others take over if nothing is healthy in any of them. Zones that are equally
	// near share requests alike. Inside a cluster the same holds for the regions and zones of its nodes.
	// +kubebuilder:validation:Enum=Zone;Region
	// +kubebuilder:default=Zone
	// +optional
	Prefer string `json:"prefer,omitempty"`
}

// Fault injects errors into HTTP and gRPC requests.
//
// +kubebuilder:validation:XValidation:rule="has(self.delay) || has(self.abort)",message="a fault is a delay, an abort, or both"
type Fault struct {
	// Delay holds requests back.
	// +optional
	Delay *FaultDelay `json:"delay,omitempty"`
	// Abort answers instead of the service.
	// +optional
	Abort *FaultAbort `json:"abort,omitempty"`
}

// FaultDelay holds a share of the requests back.
type FaultDelay struct {
	// Duration of the delay.
	Duration gatewayv1.Duration `json:"duration"`
	// Percent of the requests.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +kubebuilder:default=100
	// +optional
	Percent int32 `json:"percent,omitempty"`
}

// FaultAbort answers a share of the requests with an error.
type FaultAbort struct {
	// Status is the HTTP status answered.
	// +kubebuilder:validation:Minimum=200
	// +kubebuilder:validation:Maximum=599
	Status int32 `json:"status"`
	// Percent of the requests.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +kubebuilder:default=100
	// +optional
	Percent int32 `json:"percent,omitempty"`
}

// ExternalTLS originates TLS to a service outside of the mesh.
type ExternalTLS struct {
	// SNI sent and name verified; empty means the name called.
	// +optional
	SNI string `json:"sni,omitempty"`
	// CACertificateRef names a ConfigMap of the workspace whose key ca.crt holds the roots; empty means
	// the roots of the machine's system.
	// +optional
	CACertificateRef string `json:"caCertificateRef,omitempty"`
}

// TrafficPolicyList is a list of traffic policies.
//
// +kubebuilder:object:root=true
type TrafficPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TrafficPolicy `json:"items"`
}

package plan

import "time"

// This file holds every default of traffic, once. They were measured to lose no request when an
// endpoint dies, a machine vanishes or a proxy restarts. A TrafficPolicy changes them for a service; its
// fields in api/v1alpha1 tell users what they are.

// DefaultBalance picks the endpoint with fewer requests in flight, of two drawn.
const DefaultBalance = LeastRequest

// DefaultConnectTimeout bounds establishing a connection: a machine that vanished without a word
// costs a caller this long, once, before the request goes elsewhere.
const DefaultConnectTimeout = time.Second

// Keepalive finds peers that vanished under established connections.
const (
	KeepaliveTime     = 15 * time.Second
	KeepaliveInterval = 5 * time.Second
	KeepaliveProbes   = 3
)

// DefaultRetries only repeats what cannot have reached the application, so that it is safe for
// requests that are not idempotent. Retries skip the endpoints just tried.
func DefaultRetries() *Retries { return &defaultRetries }

var defaultRetries = Retries{Attempts: 2, On: DefaultRetryOn()}

// DefaultRetryOn is when to retry, if a policy only says how often.
func DefaultRetryOn() []string {
	return []string{"connect-failure", "refused-stream", "reset-before-request", "unavailable"}
}

// DefaultRetryMinConcurrency retries are always allowed under a retry budget.
const DefaultRetryMinConcurrency = 3

// DefaultOutliers ejects endpoints that cannot be connected to, never for what the application
// answers; a policy switches that on. At least half of the endpoints stay in.
func DefaultOutliers() *Outliers {
	return &Outliers{
		ConsecutiveLocal: 2,
		Interval:         5 * time.Second,
		Base:             10 * time.Second,
		MaxPercent:       50,
	}
}

// DefaultRedirectStatus is that of the Gateway API.
const DefaultRedirectStatus = 302

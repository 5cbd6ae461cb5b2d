// Package istio renders the plan as Istio objects in the envelopes of the feed.
//
// It is pure. It uses Istio's API types only; nothing of Istio's control plane.
package istio

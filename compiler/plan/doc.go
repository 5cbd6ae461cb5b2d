// Package plan is the vendor-free form of what the mesh shall do: services with ports and subsets,
// routes in match order, listeners of gateways, policies resolved to values. The compiler makes
// it; package istio renders it; everything that answers questions about the mesh reads it.
//
// Every default, as how often a request is repeated, stands in defaults.go and nowhere else.
//
// Values are immutable once made and shared freely between goroutines.
package plan

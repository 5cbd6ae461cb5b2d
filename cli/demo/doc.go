// Package demo runs a whole mesh on one machine, as an ordinary user: hub, edge, the sample shop
// with an agent and a real Envoy beside each of its services, an ingress gateway and a small load.
//
// Every part is a process of its own, started as a person would start it; cast.go is the table of
// them. Nothing is captured (that needs root): each Envoy listens on a loopback address of its own
// and the applications are told where to dial.
//
// Everything lives in one folder and is used again by the next run: certificates, tokens and intent
// stay. [Run] ends every process that it started before it returns, and at its start those that a
// killed demo left behind. It is called once at a time for a folder; other goroutines see only what
// it prints.
package demo

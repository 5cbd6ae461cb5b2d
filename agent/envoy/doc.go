// Package envoy runs the machine's Envoy: it writes its bootstrap, starts it, watches it, starts it
// again when it dies, and drains it.
//
// Envoy outlives the agent. It runs in a session of its own, logs to a file and is written down with
// its process id and start time, so that the next agent [Adopt]s it instead of starting another. The
// agent stops it only in [Proxy.Drain].
//
// As root, Envoy runs as another user, without new privileges and without capabilities, except the one
// to listen below port 1024 where [Spec.LowPorts] asks for it.
package envoy

// Package swarm simulates proxies by the thousand, to measure a control plane: each joins with a
// token, attends like an agent and takes configuration over delta xDS and mutual TLS like an
// Envoy, acknowledging everything at once. No traffic flows.
//
// It is not a fake of anything Isthmus ships: everything it talks to is the real edge.
package swarm

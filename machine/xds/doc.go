// Package xds is the part of Envoy's discovery protocol that an agent speaks
// (https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol): the delta form of the aggregated
// service, between Envoy, agent and edge, and the state-of-the-world form of the secret service.
//
// Resources are opaque here: a name, a version and bytes. The messages are encoded by hand, because
// the generated code of Envoy's API costs an agent, which runs on every machine, an eighth of its memory.
// Fields that an agent has no use for are skipped. Messages that are sent must not be changed any more.
package xds

// Package agent is the machine's program: it joins the machine to a zone, keeps its certificate
// fresh, registers the workload and its health, and looks after Envoy, which it feeds with
// configuration (relay) and certificates (sds), to which it leads the application's traffic
// (capture) and names (dns).
//
// [Join] makes a member of a machine, once; [Run] is its life, as often as the agent is started.
//
// What is on disk, in the data directory: agent.json, what the user asked for, with a version;
// identity.json, who the machine is, with its key; member.json, what the zone's edges said last;
// accepted.bin, the configuration Envoy accepted last; proxy/, Envoy's. Every file is replaced as a
// whole.
//
// Envoy outlives the agent. When the agent ends because it was told to stop, traffic goes on and the next
// agent adopts what it finds. Only leaving ends Envoy, after callers know and what was begun is finished.
package agent

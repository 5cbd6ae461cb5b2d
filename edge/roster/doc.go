// Package roster is the table of a zone's workloads: what agents register, how healthy it is, and
// since when nobody looks after it.
//
// An agent attends on a stream. Who the workload is comes from the certificate of that stream; what it
// serves comes from what the agent says. The end of a stream removes nothing: agents are upgraded,
// edges restart. A workload without an agent is probed at once and after every lease, is unhealthy while its proxy
// cannot be reached, and is forgotten when that lasts long enough. Silence proves nothing to an edge that hears
// nobody: it is the edge that is alone then. Leaving is said explicitly, and is answered when the workload's
// callers know.
//
// How a change travels: it is made in the table under the lock, which never waits for anything. One
// goroutine takes all changes made so far to the proxies ([Config.Publish]) and to the hub
// ([Config.Report]), another takes them to the disk. Both take the newest state, so changes that come
// faster than they go coalesce, and none waits for the disk.
//
// A zone may have several edges. Each answers for the workloads whose agents attend with it and tells the
// others of them ([Roster.Follow]); what it hears of theirs stands in the same table ([Roster.Heed]), so that
// every edge's proxies know every workload. When an edge is lost, the others look after its workloads.
//
// Methods may be called from any goroutine, Attend by gRPC; Run must run for changes to travel.
package roster

// Package siblings keeps the edges of one zone of machines in touch, so that each knows all workloads of
// the zone, with the hub or without it. Every edge follows every other: [Server] answers them from the
// roster, [Siblings] dials them and tells the roster what it hears.
//
// Who the siblings are comes from the hub, and from the disk while it is away. Both ends prove with their
// certificates that they are edges of the zone.
package siblings

// Package status says how the agent is, in words: what is wrong and what to do about it.
//
// What is wrong is a warning: an entry of the error catalogue with the circumstances. Parts of the
// agent set and clear them on a [Board], each under a key of its own. [Serve] and [Ask] are the two ends of
// the Unix socket on which other commands talk to the running agent. A [Board] may be used from
// any goroutine.
package status

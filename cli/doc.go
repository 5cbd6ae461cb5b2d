// Package cli is the command line of Isthmus: one file per command, help that is the manual, and
// exit codes that mean the same for ever ([ExitCodes]).
//
// Two kinds of commands live here. Those that handle any object (get, apply, explain, ...) are
// kubectl's own, hung on our tree and speaking of our kinds; verbs.go is the only file that knows
// where they come from. The others are ours (zone, token, status, demo, ...); they return errors
// and print data in words, or with -o json|yaml.
//
// A [CLI] runs one command line, in one goroutine, once per process: kubectl's verbs report fatal
// errors through a variable of their library, which [CLI.Run] sets, as it does their logger.
package cli

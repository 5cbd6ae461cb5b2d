package cli

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Exit codes. A number keeps its meaning for ever; new ones are added at the end.
const (
	// ExitOK is success.
	ExitOK = 0
	// ExitFailed is any failure that has no code of its own.
	ExitFailed = 1
	// ExitUsage is a command line that makes no sense.
	ExitUsage = 2
	// ExitDegraded is the answer of status when something needs attention.
	ExitDegraded = 3
	// ExitUnreachable is a hub that does not answer, or none to ask.
	ExitUnreachable = 4
	// ExitDenied is a hub that does not know or does not allow the user.
	ExitDenied = 5
)

// exitCodes is "isthmus help exit-codes".
const exitCodes = `Exit codes, the same in every release:

  0  Done. For diff: there is no difference.
  1  Failed. For diff: there are differences. For auth can-i: no.
  2  The command line makes no sense: unknown command or flag, missing or
     contradicting arguments. For diff: failed.
  3  isthmus status: the mesh works, but something needs attention.
  4  The hub does not answer, or no hub is configured.
  5  The hub does not know you, or does not allow you this.

A failure that fits 4 or 5 has that code rather than 1.`

func exitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: exitCodes}
}

// exit is an error that has an exit code of its own.
type exit struct {
	code int
	// text may be empty when everything has been said already.
	text string
}

func (e *exit) Error() string { return e.text }

// usage makes the error of a command line that makes no sense.
func usage(format string, args ...any) error {
	return &exit{ExitUsage, fmt.Sprintf(format, args...)}
}

// fatal is what kubectl's verbs end with instead of returning an error.
type fatal struct {
	text string
	code int
}

// report prints an error and returns the exit code it stands for.
func (c *CLI) report(err error) int {
	if err == nil {
		return ExitOK
	}
	code := ExitFailed
	var e *exit
	switch {
	case errors.As(err, &e):
		code = e.code
	case !c.started:
		code = ExitUsage
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		code = ExitDenied
	default:
		code = c.hub.exitCode(ExitFailed)
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(c.streams.ErrOut, "isthmus:", text)
	}
	if code == ExitUsage {
		fmt.Fprintln(c.streams.ErrOut, "See isthmus help, or --help after any command.")
	}
	return code
}

// quotedPatch is the whole patch that the API repeats before it says what is wrong with it.
var quotedPatch = regexp.MustCompile(`patch: Invalid value: "(?:[^"\\]|\\.)*": `)

// reportFatal does the same for a verb of kubectl's.
func (c *CLI) reportFatal(f fatal) int {
	if text := strings.TrimRight(f.text, "\n"); text != "" {
		text = quotedPatch.ReplaceAllString(strings.TrimPrefix(text, "error: "), "")
		fmt.Fprintln(c.streams.ErrOut, "isthmus:", text)
	}
	return c.hub.exitCode(f.code)
}

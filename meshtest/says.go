package meshtest

import (
	"fmt"
	"strings"
)

// Says waits until "isthmus status" says all of some words.
func (w *World) Says(words ...string) {
	w.t.Helper()
	w.says("isthmus status", words, func() (string, error) { return w.TryIsthmus("status") })
}

// Says waits until "isthmus-agent status" says all of some words.
func (a *Agent) Says(words ...string) {
	a.t.Helper()
	a.Machine.w.says("isthmus-agent status on "+a.Machine.Name, words, a.Status)
}

// Says waits until the edge says all of some words of itself, on its own machine.
func (e *Edge) Says(words ...string) {
	e.t.Helper()
	e.Machine.w.says("the edge "+e.Name, words, func() (string, error) {
		return e.Machine.Run(e.t.Context(), "", "curl", "--silent", "--show-error", "--max-time", "10", "http://"+edgeStatus+"/readyz")
	})
}

// says asks again and again. That something is wrong is an error, which holds what was printed.
func (w *World) says(who string, words []string, ask func() (string, error)) {
	w.t.Helper()
	Eventually(w.t, who+" says what there is to say", func() error {
		text, err := ask()
		if err != nil {
			text = err.Error()
		}
		for _, word := range words {
			if !strings.Contains(text, word) {
				return fmt.Errorf("no %q in\n%s", word, text)
			}
		}
		return nil
	})
}

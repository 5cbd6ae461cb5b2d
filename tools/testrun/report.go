package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// event is a line of "go test -json" (go doc test2json).
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build output
	Test        string
	Elapsed     float64 // seconds
	Output      string
	FailedBuild string
}

// name is a test within a package; test is empty for what belongs to the package itself.
type name struct{ pkg, test string }

func (n name) String() string { return strings.TrimSuffix(n.pkg+" "+n.test, " ") }

// report gathers what happened.
type report struct {
	strict bool
	out    io.Writer

	output          map[name]*strings.Builder // of what has not passed yet
	failed, skipped []name
	passed, empty   int
	packages        int
}

func newReport(strict bool, out io.Writer) *report {
	return &report{strict: strict, out: out, output: map[name]*strings.Builder{}}
}

func (r *report) add(e event) {
	who := name{e.Package, e.Test}
	switch e.Action {
	case "output":
		r.keep(who, e.Output)
	case "build-output":
		r.keep(name{pkg: e.ImportPath}, e.Output)
	case "pass":
		r.pass(who, e.Elapsed)
	case "skip":
		r.skip(who)
	case "fail":
		r.failed = append(r.failed, who)
		if e.FailedBuild != "" {
			r.keep(who, r.text(name{pkg: e.FailedBuild}))
		}
		r.line(who, "FAIL", e.Elapsed)
	}
}

func (r *report) keep(who name, text string) {
	if r.output[who] == nil {
		r.output[who] = new(strings.Builder)
	}
	r.output[who].WriteString(text)
}

func (r *report) text(who name) string {
	if kept := r.output[who]; kept != nil {
		return kept.String()
	}
	return ""
}

func (r *report) pass(who name, seconds float64) {
	delete(r.output, who)
	r.line(who, "ok", seconds)
	if who.test != "" {
		r.passed++
	}
}

// skip of a package means that it has no tests.
func (r *report) skip(who name) {
	if who.test == "" {
		r.empty++
		return
	}
	r.skipped = append(r.skipped, who)
}

// line shows the progress: packages, and tests that fail.
func (r *report) line(who name, word string, seconds float64) {
	if who.test == "" {
		r.packages++
	} else if word == "ok" {
		return
	}
	fmt.Fprintf(r.out, "%-4s  %-70s %7.1fs\n", word, who, seconds)
}

// close prints the end; it returns whether all is well. failed is what go test itself says.
func (r *report) close(took time.Duration, failed bool) bool {
	r.print("SKIPPED", r.skipped)
	r.print("FAILED", r.failed)
	failures := len(r.failedTests())
	if r.strict {
		failures += len(r.skipped)
	}
	ok := failures == 0 && len(r.failed) == 0 && !failed
	word := "PASS"
	if !ok {
		word = "FAIL"
	}
	if failed && len(r.failed) == 0 {
		r.printRest()
	}
	if r.strict && len(r.skipped) > 0 {
		fmt.Fprintln(r.out, "\nCI=true: what is skipped has failed.")
	}
	fmt.Fprintf(r.out, "\n%s: %d tests passed, %d failed, %d skipped in %d packages, %s\n",
		word, r.passed, len(r.failedTests()), len(r.skipped), r.packages, took.Round(100*time.Millisecond))
	return ok
}

// failedTests leaves out packages, unless the package failed without a test, as when it does not build.
func (r *report) failedTests() (tests []name) {
	inTest := map[string]bool{}
	for _, who := range r.failed {
		if who.test != "" {
			inTest[who.pkg] = true
		}
	}
	for _, who := range r.failed {
		if who.test != "" || !inTest[who.pkg] {
			tests = append(tests, who)
		}
	}
	return tests
}

func (r *report) print(word string, all []name) {
	for _, who := range all {
		fmt.Fprintf(r.out, "\n%s %s\n%s", word, who, r.text(who))
	}
}

// printRest shows what nobody was blamed for, such as a package that does not load.
func (r *report) printRest() {
	for _, who := range slices.SortedFunc(maps.Keys(r.output), func(a, b name) int { return strings.Compare(a.String(), b.String()) }) {
		fmt.Fprintf(r.out, "\n%s\n%s", who, r.text(who))
	}
}

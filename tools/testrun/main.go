// Command testrun is "go test" with an end that can be read: it prints a line a package as it
// goes, and last every skipped test with its reason, the output of every failed one, and the sums.
//
//	go run ./tools/testrun [flags of go test] packages...
//
// With CI=true a skipped test is a failed one: a machine that lacks what a test needs must not
// look like a machine where it passed.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

func main() {
	ok, err := run(os.Args[1:], os.Getenv("CI") == "true", os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testrun:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

func run(args []string, strict bool, out io.Writer) (ok bool, err error) {
	start := time.Now()
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	report := newReport(strict, out)
	if err := report.read(stdout); err != nil {
		io.Copy(io.Discard, stdout)
		cmd.Wait()
		return false, err
	}
	failed := cmd.Wait() != nil
	return report.close(time.Since(start), failed), nil
}

// read takes the lines of go test -json; those that are none of its own pass through.
func (r *report) read(stdout io.Reader) error {
	decoder := json.NewDecoder(stdout)
	for {
		var e event
		switch err := decoder.Decode(&e); err {
		case nil:
			r.add(e)
		case io.EOF:
			return nil
		default:
			return fmt.Errorf("reading the output of go test: %w", err)
		}
	}
}

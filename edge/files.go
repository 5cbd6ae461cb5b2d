package edge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/edge/bundle"
	"github.com/isthmus-mesh/isthmus/edge/journal"
)

// saveRetry is how often a full disk is tried again.
const saveRetry = 5 * time.Second

// files are what an edge remembers, besides its credentials. A damaged or full disk is a condition, not an end.
type files struct {
	conditions *conditions
	bundle     *bundle.Bundle
	tokens     *journal.Journal
	workloads  *journal.Journal
}

func openFiles(config Config, c *conditions) (*files, error) {
	f := &files{conditions: c}
	var err1, err2, err3 error
	f.bundle, err1 = bundle.Open(filepath.Join(config.DataDir, "bundle"))
	f.tokens, err2 = journal.Open(filepath.Join(config.DataDir, "tokens"))
	f.workloads, err3 = journal.Open(filepath.Join(config.DataDir, "workloads"))
	for place, err := range map[string]error{"bundle": err1, "tokens": err2, "workloads": err3} {
		if err != nil && !errors.Is(err, journal.ErrCorrupt) {
			return nil, fmt.Errorf("the edge's %s: %w", place, err)
		}
		f.damaged(place, err)
		if err != nil {
			config.Log.Error("a file of the edge is damaged", "file", place, "err", err)
		}
	}
	return f, nil
}

// damaged notes that a file could not be read whole.
func (f *files) damaged(place string, err error) {
	if err != nil {
		f.conditions.set("Read/"+place, problem.StateCorrupt.Because("%s: %v", place, err))
	}
}

// saved returns what is to be told how each attempt to write a file went.
func (f *files) saved(place string) func(error) {
	return func(err error) {
		if err == nil {
			f.conditions.set("Save/"+place, nil)
			return
		}
		f.conditions.set("Save/"+place, problem.StateNotSaved.Because("%s: %v", place, err))
	}
}

// retry writes what could not be written before, until ctx ends.
func (f *files) retry(ctx context.Context) error {
	tick := time.NewTicker(saveRetry)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			f.saved("bundle")(f.bundle.Retry())
			f.saved("tokens")(f.tokens.Retry())
			f.saved("workloads")(f.workloads.Retry())
		}
	}
}

func (f *files) close() {
	_ = errors.Join(f.bundle.Close(), f.tokens.Close(), f.workloads.Close()) // what is written is synced
}

// lock refuses a second edge in the same directory.
func lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the edge's data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another edge runs from %s", dir)
	}
	return func() { f.Close() }, nil
}

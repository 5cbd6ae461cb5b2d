package cache

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestDirFollowsXDG(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/somewhere")
	if dir, err := Dir(); err != nil || dir != "/somewhere/isthmus" {
		t.Errorf("Dir() = %q, %v", dir, err)
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	if _, err := Dir(); err == nil || !strings.Contains(err.Error(), "set HOME or XDG_CACHE_HOME") {
		t.Errorf("without a home the error must name the remedy, got %v", err)
	}
}

func TestFileIsFilledOnceByManyCallers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "file")
	var fills atomic.Int32
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			got, err := File(t.Context(), path, func(temp string) error {
				fills.Add(1)
				return os.WriteFile(temp, []byte("whole"), 0o644)
			})
			if err != nil || got != path {
				t.Errorf("File = %q, %v", got, err)
			}
		})
	}
	callers.Wait()
	if fills.Load() != 1 {
		t.Errorf("filled %d times, want once", fills.Load())
	}
	if data, _ := os.ReadFile(path); string(data) != "whole" {
		t.Errorf("content %q", data)
	}
}

func TestFailedFillLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	broken := errors.New("broken")
	_, err := File(t.Context(), path, func(temp string) error {
		os.WriteFile(temp, []byte("half"), 0o644)
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatalf("error %v, want the fill's", err)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 || entries[0].Name() != "file.lock" {
		t.Errorf("left behind: %v", entries)
	}
}

func TestLockWaitsNoLongerThanItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if _, err := Lock(ctx, path); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("second lock: %v, want the context's cause", err)
	}
	unlock()
	again, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	again()
}

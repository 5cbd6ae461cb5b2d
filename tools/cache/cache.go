// Package cache keeps files that are expensive to get (a downloaded Envoy, a built kubectl) once
// per machine and user, for every program and test that needs them.
//
// A file is made under a file lock and appears by rename: it is absent or whole, whoever dies
// while making it, and only one process makes it while the others wait. All functions may be
// called from any goroutine and any process.
package cache

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Dir is the folder of all cached files: ${XDG_CACHE_HOME:-~/.cache}/isthmus.
func Dir() (string, error) {
	root, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder: set HOME or XDG_CACHE_HOME: %w", err)
	}
	return filepath.Join(root, "isthmus"), nil
}

// File returns path as soon as it exists. If it does not, fill is called to write it at the
// temporary path it is given, in a folder of its own that is removed afterwards; that folder is
// beside path, so large files are moved, not copied.
func File(ctx context.Context, path string, fill func(temp string) error) (string, error) {
	if exists(path) {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	unlock, err := Lock(ctx, path+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(path) { // another process made it while this one waited
		return path, nil
	}
	return path, fillAndMove(path, fill)
}

func fillAndMove(path string, fill func(temp string) error) error {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".making-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	temp := filepath.Join(dir, filepath.Base(path))
	if err := fill(temp); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

func exists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// lockRetry is how often a waiter asks again. flock(2) has no form that a context could end.
const lockRetry = 50 * time.Millisecond

// Lock takes the exclusive lock of a file, which is created if need be, and waits for it until
// ctx ends. The lock is held until unlock is called or the process ends.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	retry := time.NewTicker(lockRetry)
	defer retry.Stop()
	for syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("waiting for another process to release %s: %w", path, context.Cause(ctx))
		case <-retry.C:
		}
	}
	return func() { file.Close() }, nil // closing releases
}

package apiserver

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// privateDir makes a directory that only this user may enter.
func privateDir(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return os.Chmod(path, 0o700)
}

// lockDir takes a directory for this process; the lock ends with the process or with Close.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("data directory %s is in use by another hub: stop it or choose another directory (%w)", dir, err)
	}
	return f, nil
}

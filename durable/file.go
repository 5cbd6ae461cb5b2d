// Package durable writes files that are whole whenever the machine dies.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// WriteFile replaces a file, or makes it, readable and writable by this user only: it has the content afterwards, or what it
// had before, and never a part. Without an error the content outlives the machine.
func WriteFile(path string, content []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // after the rename there is none
	_, err = temp.Write(content)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder has the folder know of the new file, too.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

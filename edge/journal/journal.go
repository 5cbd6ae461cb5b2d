// Package journal is a small map on disk. A batch of changes is one checksummed record that is there
// as a whole or not at all, also after a crash, a power cut or a full disk.
//
// The file is the line "isthmus-journal 1" and records; a record is its length and the CRC-32C of
// its body, both 32 bits, little endian, and a body of entries: key, then value or deletion (see
// record.go). When most of the file is history it is written anew beside itself and renamed. The
// whole map is also kept in memory, so values should be small and few: megabytes, not gigabytes.
//
// What cannot be written stays in memory and is written by the next [Journal.Write] or
// [Journal.Retry] that succeeds.
//
// Methods may be called from any goroutine. One process may have a file open at a time.
package journal

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"sync"
)

const header = "isthmus-journal 1\n"

// slack is how much history a file may hold beyond as much as it has content.
const slack = 1 << 20

// ErrCorrupt says that a journal was damaged other than by a crash while it was written.
var ErrCorrupt = errors.New("journal: damaged")

// Journal is an open file.
type Journal struct {
	path string

	mu      sync.Mutex
	content map[string][]byte
	bytes   int      // of content
	file    *os.File // nil when the next write must be of everything
	size    int64    // of the file, up to its last whole record
	unsaved bool
}

// Open reads or makes a journal; its folder must exist. An incomplete record at the end is the
// mark of a crash and is dropped. For other damage Open sets a copy of the file aside as
// PATH.damaged, goes on with what stands before the damage and also returns [ErrCorrupt]. Any other
// error is the file system's, and the journal is then nil.
func Open(path string) (*Journal, error) {
	j := &Journal{path: path, content: map[string][]byte{}}
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return j, nil
	}
	if err != nil {
		return nil, err
	}
	good, err := j.replay(raw)
	if errors.Is(err, ErrCorrupt) {
		err = fmt.Errorf("%w: %s, kept as %s", err, path, filepath.Base(path)+".damaged")
		return j, errors.Join(err, os.WriteFile(path+".damaged", raw, 0o600))
	}
	return j, j.reopen(good)
}

// replay fills the content and returns how much of the file is good.
func (j *Journal) replay(raw []byte) (int64, error) {
	if len(raw) < len(header) || string(raw[:len(header)]) != header {
		return 0, fmt.Errorf("%w: no journal of version 1", ErrCorrupt)
	}
	rest := raw[len(header):]
	for len(rest) > 0 {
		batch, n, err := readRecord(rest)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		j.put(batch)
		rest = rest[n:]
	}
	return int64(len(raw) - len(rest)), nil
}

func (j *Journal) reopen(size int64) error {
	f, err := os.OpenFile(j.path, os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := f.Truncate(size); err != nil {
		f.Close()
		return err
	}
	j.file, j.size = f, size
	return nil
}

// All returns a copy of the map; its values must not be changed.
func (j *Journal) All() map[string][]byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.content)
}

// Write makes a batch of changes and returns when it is on disk; a nil value deletes its key. When it
// returns an error the changes are in memory only.
func (j *Journal) Write(batch map[string][]byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.put(batch)
	if j.file == nil || j.size > int64(2*j.bytes)+slack {
		return j.note(j.rewrite())
	}
	return j.note(j.append(batch))
}

// Retry writes what could not be written before, if anything.
func (j *Journal) Retry() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.unsaved {
		return nil
	}
	return j.note(j.rewrite())
}

// Close closes the file. What is unsaved is lost.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	return err
}

func (j *Journal) put(batch map[string][]byte) {
	for key, value := range batch {
		if old, ok := j.content[key]; ok {
			j.bytes -= len(key) + len(old)
		}
		if value == nil {
			delete(j.content, key)
			continue
		}
		j.content[key] = value
		j.bytes += len(key) + len(value)
	}
}

// note remembers whether the disk has everything; after a failure the file's end is unknown.
func (j *Journal) note(err error) error {
	j.unsaved = err != nil
	if err != nil && j.file != nil {
		j.file.Close()
		j.file = nil
	}
	return err
}

func (j *Journal) append(batch map[string][]byte) error {
	record := appendRecord(nil, batch)
	if _, err := j.file.WriteAt(record, j.size); err != nil {
		return errors.Join(err, j.file.Truncate(j.size))
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	j.size += int64(len(record))
	return nil
}

// rewrite replaces the file by one that holds nothing but the content.
func (j *Journal) rewrite() error {
	next := j.path + ".new"
	f, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	raw := appendRecord([]byte(header), j.content)
	if err = writeSynced(f, raw); err == nil {
		err = os.Rename(next, j.path)
	}
	if err != nil {
		f.Close()
		os.Remove(next)
		return err
	}
	if j.file != nil {
		j.file.Close()
	}
	j.file, j.size = f, int64(len(raw))
	return syncDir(filepath.Dir(j.path))
}

func writeSynced(f *os.File, raw []byte) error {
	if _, err := f.Write(raw); err != nil {
		return err
	}
	return f.Sync()
}

// syncDir makes a rename durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

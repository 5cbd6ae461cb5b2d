// Package bundle keeps what the hub last told the edge, on disk, so that the edge restarts from it
// with the hub away.
//
// In memory a [Bundle] always has everything; on disk it has the same after Save, or says in an error
// that it has not. Methods may be called from any goroutine; a resource must not be changed once it is in.
package bundle

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/isthmus-mesh/isthmus/edge/journal"
	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// Keys of the journal: the number of the newest revision, and resources by name.
const (
	revisionKey    = "revision"
	resourcePrefix = "resource/"
)

// Bundle is the zone's configuration at one revision of the hub.
type Bundle struct {
	journal *journal.Journal

	mu        sync.Mutex
	revision  int64
	resources map[string]*feedpb.Resource
	unsaved   map[string]struct{}
}

// Open reads a bundle from a file, or begins an empty one. With [journal.ErrCorrupt] the bundle is
// usable and has an older revision or none; with any other error it is nil.
func Open(path string) (*Bundle, error) {
	j, err := journal.Open(path)
	if j == nil {
		return nil, err
	}
	b := &Bundle{journal: j, resources: map[string]*feedpb.Resource{}, unsaved: map[string]struct{}{}}
	return b, errors.Join(err, b.read(j.All()))
}

func (b *Bundle) read(content map[string][]byte) error {
	var errs []error
	for key, value := range content {
		if err := b.readEntry(key, value); err != nil {
			errs = append(errs, fmt.Errorf("%w: %s: %w", journal.ErrCorrupt, key, err))
		}
	}
	return errors.Join(errs...)
}

func (b *Bundle) readEntry(key string, value []byte) (err error) {
	if key == revisionKey {
		b.revision, err = strconv.ParseInt(string(value), 10, 64)
		return err
	}
	r := &feedpb.Resource{}
	if err := proto.Unmarshal(value, r); err != nil {
		return err
	}
	if key != resourcePrefix+r.Name {
		return fmt.Errorf("holds %q", r.Name)
	}
	b.resources[r.Name] = r
	return nil
}

// Put makes a revision the current one, in memory.
func (b *Bundle) Put(revision feed.Revision) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.revision = revision.Number
	for _, r := range revision.Upserts {
		b.resources[r.Name] = r
		b.unsaved[r.Name] = struct{}{}
	}
	for _, name := range revision.Removed {
		delete(b.resources, name)
		b.unsaved[name] = struct{}{}
	}
}

// Save brings to disk what was put since the last time.
func (b *Bundle) Save() error {
	batch, err := b.batch()
	return errors.Join(err, b.journal.Write(batch))
}

func (b *Bundle) batch() (map[string][]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	batch := map[string][]byte{revisionKey: strconv.AppendInt(nil, b.revision, 10)}
	for name := range b.unsaved {
		batch[resourcePrefix+name] = nil
		if r := b.resources[name]; r != nil {
			raw, err := proto.Marshal(r)
			batch[resourcePrefix+name], errs = raw, append(errs, err)
		}
	}
	clear(b.unsaved)
	return batch, errors.Join(errs...)
}

// Retry saves what could not be saved before, if anything.
func (b *Bundle) Retry() error { return b.journal.Retry() }

// Close closes the file.
func (b *Bundle) Close() error { return b.journal.Close() }

// Revision is the newest one put; 0 when there is none.
func (b *Bundle) Revision() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.revision
}

// Versions are the revision and the version of each resource by name: what a [feed.Client] says it has.
func (b *Bundle) Versions() (int64, map[string]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	versions := make(map[string]string, len(b.resources))
	for name, r := range b.resources {
		versions[name] = r.Version
	}
	return b.revision, versions
}

// Get returns a resource, or nil.
func (b *Bundle) Get(name string) *feedpb.Resource {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.resources[name]
}

// Each calls visit for the resources whose names begin with prefix, sorted by name.
func (b *Bundle) Each(prefix string, visit func(*feedpb.Resource)) {
	b.mu.Lock()
	resources := maps.Clone(b.resources)
	b.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(resources)) {
		if strings.HasPrefix(name, prefix) {
			visit(resources[name])
		}
	}
}

package pilot

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/isthmus-mesh/isthmus/durable"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// refusals remember which versions were refused and what to serve instead, one file each, so that a restart
// does not serve them again.
type refusals struct {
	dir string

	mu    sync.RWMutex // guards named
	named map[string]*refusal
}

// refusal is one of them. Its form on disk is JSON with both fields in protobuf's JSON form.
type refusal struct {
	Rejection *feedpb.Rejection
	// Good is what is served instead; nil for nothing.
	Good *feedpb.Resource
}

type refusalFile struct {
	Rejection json.RawMessage `json:"rejection"`
	Good      json.RawMessage `json:"good,omitempty"`
}

func openRefusals(dir string) (*refusals, error) {
	r := &refusals{dir: dir, named: map[string]*refusal{}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		one, err := readRefusal(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		r.named[one.Rejection.Resource] = one
	}
	return r, nil
}

func readRefusal(file string) (*refusal, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var raw refusalFile
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, err
	}
	r := &refusal{Rejection: &feedpb.Rejection{}}
	if err := protojson.Unmarshal(raw.Rejection, r.Rejection); err != nil {
		return nil, err
	}
	if raw.Good == nil {
		return r, nil
	}
	r.Good = &feedpb.Resource{}
	return r, protojson.Unmarshal(raw.Good, r.Good)
}

func (r *refusals) get(name string) *refusal {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.named[name]
}

// put remembers; the error says that a restart would not.
func (r *refusals) put(one *refusal) error {
	name := one.Rejection.Resource
	r.mu.Lock()
	r.named[name] = one
	r.mu.Unlock()
	rejection, err := protojson.Marshal(one.Rejection)
	if err != nil {
		return err
	}
	raw := refusalFile{Rejection: rejection}
	if one.Good != nil {
		if raw.Good, err = protojson.Marshal(one.Good); err != nil {
			return err
		}
	}
	text, err := json.Marshal(raw)
	if err != nil {
		return err
	}
	return durable.WriteFile(r.file(name), text)
}

// drop forgets; the error says that a restart would not.
func (r *refusals) drop(name string) error {
	r.mu.Lock()
	delete(r.named, name)
	r.mu.Unlock()
	if err := os.Remove(r.file(name)); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (r *refusals) list() []*feedpb.Rejection {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]*feedpb.Rejection, 0, len(r.named))
	for _, one := range r.named {
		out = append(out, one.Rejection)
	}
	slices.SortFunc(out, func(a, b *feedpb.Rejection) int { return strings.Compare(a.Resource, b.Resource) })
	return out
}

// file is named by hash: resource names have slashes and no limit.
func (r *refusals) file(name string) string {
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(r.dir, hex.EncodeToString(sum[:16])+".json")
}

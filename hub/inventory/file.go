package inventory

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/isthmus-mesh/isthmus/durable"
)

// fileFormat counts up when the file's form changes. 1 = first form.
const fileFormat = 1

// saved is the content of the file.
type saved struct {
	Format   int            `json:"format"`
	Revision int64          `json:"revision"`
	Services []savedService `json:"services"`
	Zones    []savedZone    `json:"zones,omitempty"`
}

type savedService struct {
	serviceKey
	Traits []trait `json:"traits"`
}

// Save writes the shapes to the file, whole or not at all, with the revision they will be published at. It
// must be called after a Take that returned something and before that is published, so that a restart
// never knows less than the edges were told.
func (i *Inventory) Save(revision int64) error {
	text, err := json.Marshal(i.snapshot(revision))
	if err != nil {
		return err
	}
	return durable.WriteFile(i.config.File, text)
}

func (i *Inventory) snapshot(revision int64) saved {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := saved{Format: fileFormat, Revision: revision, Zones: i.savedZones()}
	for key, traits := range i.shapes.services {
		sorted := slices.SortedFunc(maps.Keys(traits), func(a, b trait) int {
			return strings.Compare(a.Zone+a.Version+a.Ports+a.Labels, b.Zone+b.Version+b.Ports+b.Labels)
		})
		all.Services = append(all.Services, savedService{key, sorted})
	}
	slices.SortFunc(all.Services, func(a, b savedService) int {
		return strings.Compare(a.Workspace+"/"+a.Name, b.Workspace+"/"+b.Name)
	})
	return all
}

// load reads the file; a missing one is empty. A damaged one is an error, because going on without
// it would withdraw every service until the edges are back.
func load(file string) (all saved, err error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return all, err
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return all, fmt.Errorf("%s is damaged (%w): restore it, or remove it while all edges are connected to another hub or stopped", file, err)
	}
	if all.Format != fileFormat {
		return all, fmt.Errorf("%s has format %d, this version reads %d: start the version that wrote it", file, all.Format, fileFormat)
	}
	return all, nil
}

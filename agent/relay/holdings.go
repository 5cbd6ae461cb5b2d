package relay

import (
	"maps"
	"slices"

	"github.com/isthmus-mesh/isthmus/machine/xds"
)

// holdings are the resources Envoy accepted, by type and name. Resources are immutable once here.
type holdings struct {
	types map[string]map[string]*xds.Resource
	// sealed holdings do not change any more: Envoy is being drained.
	sealed bool
	// changed is called after each change.
	changed func()
}

func newHoldings() *holdings {
	return &holdings{types: map[string]map[string]*xds.Resource{}, changed: func() {}}
}

// of returns the resources of a type; known tells whether the type was ever answered.
func (h *holdings) of(typeURL string) (resources map[string]*xds.Resource, known bool) {
	resources, known = h.types[typeURL]
	return resources, known
}

// accept notes what Envoy acknowledged and still wants.
func (h *holdings) accept(typeURL string, resources []*xds.Resource, removed []string, wants func(string) bool) {
	if h.sealed {
		return
	}
	have, known := h.types[typeURL]
	if !known {
		have = map[string]*xds.Resource{}
		h.types[typeURL] = have
	}
	for _, name := range removed {
		delete(have, name)
	}
	for _, r := range resources {
		if wants(r.Name()) {
			have[r.Name()] = r
		}
	}
	if !known || len(resources)+len(removed) > 0 {
		h.changed()
	}
}

// drop forgets what Envoy does not want any more.
func (h *holdings) drop(typeURL string, names []string) {
	have := h.types[typeURL]
	if h.sealed || len(have) == 0 || len(names) == 0 {
		return
	}
	for _, name := range names {
		delete(have, name)
	}
	h.changed()
}

// pages returns a copy as one response per type, sorted, sharing the resources.
func (h *holdings) pages() []*xds.DeltaResponse {
	var pages []*xds.DeltaResponse
	for _, typeURL := range sorted(h.types) {
		page := &xds.DeltaResponse{TypeURL: typeURL}
		for _, name := range sorted(h.types[typeURL]) {
			page.Resources = append(page.Resources, h.types[typeURL][name])
		}
		pages = append(pages, page)
	}
	return pages
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

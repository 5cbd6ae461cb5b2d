package edge

import (
	"maps"
	"slices"
	"sync"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// conditions are what is wrong with the edge now, by where.
type conditions struct {
	changed func()

	mu      sync.Mutex
	byPlace map[string]*problem.Error
}

// set says what is wrong in a place; nil means nothing is.
func (c *conditions) set(place string, err *problem.Error) {
	c.mu.Lock()
	old := c.byPlace[place]
	if err == nil {
		delete(c.byPlace, place)
	} else {
		c.byPlace[place] = err
	}
	c.mu.Unlock()
	if (old == nil) != (err == nil) || err != nil && old.Error() != err.Error() {
		c.changed()
	}
}

// all are the conditions as the hub hears of them, sorted by place.
func (c *conditions) all() []*feedpb.Condition {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*feedpb.Condition
	for _, place := range slices.Sorted(maps.Keys(c.byPlace)) {
		p := c.byPlace[place]
		all = append(all, &feedpb.Condition{Type: place, Reason: p.Reason, Message: p.Error()})
	}
	return all
}

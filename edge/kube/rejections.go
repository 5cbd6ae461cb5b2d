package kube

import (
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// rejections are what cannot be in the cluster now, and why. What its proxies refuse is kept apart from what it does.
type rejections struct {
	tell func(*feedpb.Rejection)

	mu         sync.Mutex // also orders what is told
	byResource map[string]*feedpb.Rejection
}

// put notes that a resource is refused, and tells it if that is new.
func (r *rejections) put(w *wanted, why *problem.Error) {
	r.tellOf(&feedpb.Rejection{Resource: w.Name, Version: w.Version, Origins: w.Origins, Message: why.Message()})
}

// know notes that a resource is refused, and tells nobody yet.
func (r *rejections) know(one *feedpb.Rejection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byResource[one.Resource] = one
}

// retell tells all anew.
func (r *rejections) retell() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.byResource {
		r.tell(one)
	}
}

func (r *rejections) tellOf(one *feedpb.Rejection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if proto.Equal(r.byResource[one.Resource], one) {
		return
	}
	r.byResource[one.Resource] = one
	r.tell(one)
}

// resolve notes that a resource is accepted, or gone.
func (r *rejections) resolve(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.byResource[name]
	if one == nil {
		return
	}
	delete(r.byResource, name)
	resolved := proto.CloneOf(one)
	resolved.Resolved = true
	r.tell(resolved)
}

// clear resolves all.
func (r *rejections) clear() {
	for _, one := range r.list() {
		r.resolve(one.Resource)
	}
}

func (r *rejections) list() []*feedpb.Rejection {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*feedpb.Rejection, 0, len(r.byResource))
	for _, one := range r.byResource {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b *feedpb.Rejection) int { return strings.Compare(a.Resource, b.Resource) })
	return all
}

// Rejections returns what is refused now: what the cluster does, then what its proxies do.
func (c *Cluster) Rejections() []*feedpb.Rejection {
	return append(c.rejections.list(), c.refusals.list()...)
}

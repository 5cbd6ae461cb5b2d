package compiler

import (
	"slices"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// rendering is what a unit makes for the zones that one place reaches.
type rendering struct {
	reach     key
	resources []*feedpb.Resource
	// more is made by the same unit for another place; nil if there is none.
	more *rendering
}

// same compares by version and origins, without looking into messages.
func (r *rendering) same(other any) bool {
	o, is := other.(*rendering)
	if !is || r == nil || o == nil {
		return is && r == o
	}
	return r.reach == o.reach && slices.EqualFunc(r.resources, o.resources, sameResource) && r.more.same(o.more)
}

func sameResource(a, b *feedpb.Resource) bool {
	return a.Name == b.Name && a.Version == b.Version && slices.EqualFunc(a.Origins, b.Origins, sameOrigin)
}

func sameOrigin(a, b *feedpb.Origin) bool {
	return a.Kind == b.Kind && a.Namespace == b.Namespace && a.Name == b.Name && a.Field == b.Field && a.Generation == b.Generation
}

// render is the result of a unit that makes resources for the zones of a workspace.
func render(w *work, workspace string, resources ...*feedpb.Resource) *rendering {
	return renderFor(w, key{unit: unitReach, namespace: workspace}, resources...)
}

// renderFor tells the objects that resources are made from.
func renderFor(w *work, reach key, resources ...*feedpb.Resource) *rendering {
	for _, resource := range resources {
		var last key
		for _, from := range resource.Origins {
			if to := statusKey(from.Kind, from.Namespace, from.Name); to != last {
				w.send(to, made{resource.Name, reach})
				last = to
			}
		}
	}
	return &rendering{reach: reach, resources: resources}
}

// made tells a status which resource is made from its object.
type made struct {
	resource string
	reach    key
}

// at is the part for one place; nil if there is none.
func (r *rendering) at(reach key) *rendering {
	for ; r != nil; r = r.more {
		if r.reach == reach {
			return r
		}
	}
	return nil
}

// bundle collects what one unit makes for several places.
type bundle struct{ first, last *rendering }

// add takes a rendering in; empty ones are left out.
func (b *bundle) add(r *rendering) {
	switch {
	case r == nil || len(r.resources) == 0:
	case b.first == nil:
		b.first, b.last = r, r
	default:
		b.last.more, b.last = r, r
	}
}

// value is the result of the unit.
func (b *bundle) value() any {
	if b.first == nil {
		return nil
	}
	return b.first
}

package inventory

import (
	"maps"
	"slices"
	"strings"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// refusals are what proxies refused and have not accepted since, by edge and by the objects that
// caused them.
type refusals struct {
	byEdge   map[edgeKey]map[refusalKey]*feedpb.Rejection
	byObject map[Object]map[ref]*feedpb.Rejection
}

type edgeKey struct{ zone, edge string }

type refusalKey struct{ resource, proxy string }

type ref struct {
	edgeKey
	refusalKey
}

func newRefusals() *refusals {
	return &refusals{byEdge: map[edgeKey]map[refusalKey]*feedpb.Rejection{}, byObject: map[Object]map[ref]*feedpb.Rejection{}}
}

// reset replaces all that an edge said and returns the objects concerned.
func (r *refusals) reset(edge edgeKey, now []*feedpb.Rejection) []Object {
	stays := map[refusalKey]bool{}
	for _, rejection := range now {
		stays[refusalKey{rejection.Resource, rejection.Proxy}] = !rejection.Resolved
	}
	touched := map[Object]bool{}
	for key := range maps.Keys(r.byEdge[edge]) {
		if !stays[key] {
			r.drop(edge, key, touched)
		}
	}
	for _, object := range r.take(edge, now) {
		touched[object] = true
	}
	return sorted(touched)
}

// take adds and resolves refusals and returns the objects concerned.
func (r *refusals) take(edge edgeKey, now []*feedpb.Rejection) []Object {
	touched := map[Object]bool{}
	for _, rejection := range now {
		r.resolve(edge, rejection, touched)
		if !rejection.Resolved {
			r.add(edge, rejection, touched)
		}
	}
	return sorted(touched)
}

// resolve drops a refusal; one that names no proxy is resolved for all of them.
func (r *refusals) resolve(edge edgeKey, rejection *feedpb.Rejection, touched map[Object]bool) {
	for key := range maps.Keys(r.byEdge[edge]) {
		all := rejection.Resolved && rejection.Proxy == ""
		if key.resource == rejection.Resource && (all || key.proxy == rejection.Proxy) {
			r.drop(edge, key, touched)
		}
	}
}

func (r *refusals) add(edge edgeKey, rejection *feedpb.Rejection, touched map[Object]bool) {
	key := refusalKey{rejection.Resource, rejection.Proxy}
	if r.byEdge[edge] == nil {
		r.byEdge[edge] = map[refusalKey]*feedpb.Rejection{}
	}
	r.byEdge[edge][key] = rejection
	for _, object := range causes(rejection) {
		if r.byObject[object] == nil {
			r.byObject[object] = map[ref]*feedpb.Rejection{}
		}
		r.byObject[object][ref{edge, key}] = rejection
		touched[object] = true
	}
}

func (r *refusals) drop(edge edgeKey, key refusalKey, touched map[Object]bool) {
	rejection := r.byEdge[edge][key]
	delete(r.byEdge[edge], key)
	for _, object := range causes(rejection) {
		delete(r.byObject[object], ref{edge, key})
		if len(r.byObject[object]) == 0 {
			delete(r.byObject, object)
		}
		touched[object] = true
	}
}

func causes(r *feedpb.Rejection) []Object {
	objects := make([]Object, len(r.Origins))
	for i, o := range r.Origins {
		objects[i] = Object{o.Kind, o.Namespace, o.Name}
	}
	return objects
}

func sorted(objects map[Object]bool) []Object {
	return slices.SortedFunc(maps.Keys(objects), func(a, b Object) int {
		return strings.Compare(a.Kind+"/"+a.Namespace+"/"+a.Name, b.Kind+"/"+b.Namespace+"/"+b.Name)
	})
}

// Refusal is one refusal that an object's generation caused.
type Refusal struct {
	Zone, Resource, Message string
	// Proxies that refused, sorted; empty when the edge itself did.
	Proxies []string
}

// Refusals returns the refusals caused by a generation of an object, sorted by zone and resource. An origin
// without a generation stands for every generation.
func (i *Inventory) Refusals(object Object, generation int64) []Refusal {
	i.mu.Lock()
	defer i.mu.Unlock()
	type key struct{ zone, resource, message string }
	merged := map[key]*Refusal{}
	for at, rejection := range i.refusals.byObject[object] {
		if !concerns(rejection, object, generation) {
			continue
		}
		k := key{at.zone, rejection.Resource, rejection.Message}
		if merged[k] == nil {
			merged[k] = &Refusal{Zone: at.zone, Resource: rejection.Resource, Message: rejection.Message}
		}
		if rejection.Proxy != "" {
			merged[k].Proxies = append(merged[k].Proxies, rejection.Proxy)
		}
	}
	all := make([]Refusal, 0, len(merged))
	for _, r := range merged {
		slices.Sort(r.Proxies)
		all = append(all, *r)
	}
	slices.SortFunc(all, func(a, b Refusal) int {
		return strings.Compare(a.Zone+"/"+a.Resource+"/"+a.Message, b.Zone+"/"+b.Resource+"/"+b.Message)
	})
	return all
}

func concerns(r *feedpb.Rejection, object Object, generation int64) bool {
	for _, o := range r.Origins {
		same := Object{o.Kind, o.Namespace, o.Name} == object
		if same && (o.Generation == 0 || o.Generation == generation) {
			return true
		}
	}
	return false
}

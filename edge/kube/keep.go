package kube

import (
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// keeping is what of changed destinations routes need that were put back: what a route leads to may have been taken
// away by the change that is refused, and by that change's consequences, which are not.
type keeping struct {
	zone string
	// kept are DestinationRules and ServiceEntries as they were, by name.
	kept map[string]*wanted
	// needs are the subsets, by host, that routes lead to which are put back.
	needs map[string]map[string]bool
	// made are changed objects with what is kept of them, by name.
	made map[string]*wanted
	// unsaved is whether what is put back or kept is something else than what is remembered.
	unsaved bool
}

func newKeeping(zone string) keeping {
	return keeping{zone: zone, kept: map[string]*wanted{}, made: map[string]*wanted{}}
}

// keep remembers a destination as it was.
func (k *keeping) keep(name string, was *wanted) {
	kind, _, _ := strings.Cut(name, "/")
	if was != nil && k.kept[name] == nil && (kind == "DestinationRule" || kind == "ServiceEntry") {
		k.kept[name], k.unsaved = was, true
	}
}

// heldChanged finds anew what is needed, and returns the names that may be something else now.
func (k *keeping) heldChanged(held map[string]*hold) []string {
	touched := slices.Sorted(maps.Keys(k.kept))
	k.needs, k.made = map[string]map[string]bool{}, map[string]*wanted{}
	for _, h := range held {
		if h.instead != nil {
			k.need(h.instead)
		}
	}
	if len(held) == 0 && len(k.kept) > 0 {
		clear(k.kept)
		k.unsaved = true
	}
	return touched
}

// need adds the destinations of a route.
func (k *keeping) need(w *wanted) {
	message, err := w.Body.UnmarshalNew()
	vs, isRoute := message.(*networking.VirtualService)
	if err != nil || !isRoute {
		return
	}
	for _, d := range destinations(vs) {
		if k.needs[d.GetHost()] == nil {
			k.needs[d.GetHost()] = map[string]bool{}
		}
		k.needs[d.GetHost()][d.GetSubset()] = true
	}
}

func destinations(vs *networking.VirtualService) (all []*networking.Destination) {
	for _, r := range vs.Http {
		for _, d := range r.Route {
			all = append(all, d.Destination)
		}
		for _, d := range r.Mirrors {
			all = append(all, d.Destination)
		}
		all = append(all, r.Mirror)
	}
	for _, r := range vs.Tcp {
		for _, d := range r.Route {
			all = append(all, d.Destination)
		}
	}
	for _, r := range vs.Tls {
		for _, d := range r.Route {
			all = append(all, d.Destination)
		}
	}
	return all
}

// with is an object as it is wanted, with what is needed of what was.
func (k *keeping) with(name string, w *wanted) *wanted {
	was := k.kept[name]
	if was == nil || len(k.needs) == 0 {
		return w
	}
	if made, known := k.made[name]; known {
		return made
	}
	k.made[name] = k.make(was, w)
	return k.made[name]
}

// make keeps an object that is to go if somebody needs it, and of one that changed the subsets that somebody needs.
func (k *keeping) make(was, w *wanted) *wanted {
	message, err := was.Body.UnmarshalNew()
	if err != nil {
		return w
	}
	switch old := message.(type) {
	case *networking.ServiceEntry:
		if w == nil && slices.ContainsFunc(old.Hosts, func(host string) bool { return k.needs[host] != nil }) {
			return was.again()
		}
	case *networking.DestinationRule:
		if w == nil && k.needs[old.Host] != nil {
			return was.again()
		}
		if w != nil {
			return k.withSubsets(old, w)
		}
	}
	return w
}

// withSubsets is a rule with those of an old one that are needed. It has a version of its own: who compares must not
// think that somebody else changed it.
func (k *keeping) withSubsets(old *networking.DestinationRule, w *wanted) *wanted {
	message, err := w.Body.UnmarshalNew()
	rule, isRule := message.(*networking.DestinationRule)
	if err != nil || !isRule {
		return w
	}
	missing := slices.DeleteFunc(slices.Clone(old.Subsets), func(s *networking.Subset) bool {
		return !k.needs[old.Host][s.Name] || slices.ContainsFunc(rule.Subsets, func(one *networking.Subset) bool { return one.Name == s.Name })
	})
	if len(missing) == 0 {
		return w
	}
	rule.Subsets = append(rule.Subsets, missing...)
	body, err := anypb.New(rule)
	if err != nil {
		return w
	}
	resource := proto.Clone(w.Resource).(*feedpb.Resource)
	resource.Body, resource.Version = body, w.Version+"+"+hash(missing)
	made := newWanted(resource, k.zone)
	if made.err != nil {
		return w
	}
	return made
}

package kube

import (
	"cmp"
	"slices"
)

// trial finds which of several changes proxies refuse, all of which are put back at first: some are tried together,
// and what is refused is tried in halves.
type trial struct {
	// confirmed is whether proxies took everything with all changes put back. Before, nothing is tried.
	confirmed  bool
	accusation accusation // that began it
	segments   []segment  // the next one last
	trying     []string
	rest       segment // the other half of what is tried
	rounds     int
}

// segment are changes; guilty is why one of them is known to be refused, nil if it is not known.
type segment struct {
	names  []string
	guilty *accusation
}

// conviction is a change that is refused, and why.
type conviction struct {
	name string
	accusation
}

// maxRounds is how often is tried. What is left then stays put back, all of it: traffic is worth more than the blame.
const maxRounds = 15

func newTrial(names []string, a accusation) *trial {
	return &trial{accusation: a, segments: []segment{{names, &a}}}
}

// add has another change tried, after the others.
func (t *trial) add(name string) {
	t.segments = slices.Insert(t.segments, 0, segment{[]string{name}, nil})
}

// drop forgets a change: it was replaced. Of what is left nothing is known.
func (t *trial) drop(name string) {
	gone := func(one string) bool { return one == name }
	for i, s := range t.segments {
		if slices.Contains(s.names, name) {
			t.segments[i] = segment{slices.DeleteFunc(slices.Clone(s.names), gone), nil}
		}
	}
	if slices.Contains(t.trying, name) || slices.Contains(t.rest.names, name) {
		t.rest = segment{slices.DeleteFunc(slices.Clone(t.rest.names), gone), nil}
		t.trying = slices.DeleteFunc(slices.Clone(t.trying), gone)
	}
}

// next says what to try now, and who is convicted without that. With nothing to try the trial is over.
func (t *trial) next() (trying []string, convicted []conviction) {
	t.trying, t.rest = nil, segment{}
	for len(t.segments) > 0 {
		s := t.segments[len(t.segments)-1]
		t.segments = t.segments[:len(t.segments)-1]
		switch {
		case len(s.names) == 0:
			continue
		case s.guilty != nil && len(s.names) == 1, t.rounds == maxRounds:
			for _, name := range s.names {
				convicted = append(convicted, conviction{name, *cmp.Or(s.guilty, &t.accusation)})
			}
			continue
		case s.guilty != nil:
			half := (len(s.names) + 1) / 2
			t.trying, t.rest = s.names[:half], segment{s.names[half:], s.guilty}
		default:
			t.trying = s.names
		}
		t.rounds++
		break
	}
	return t.trying, convicted
}

// refused notes that what is tried is refused.
func (t *trial) refused(a accusation) {
	t.segments = append(t.segments, segment{t.rest.names, nil}, segment{t.trying, &a})
}

// taken notes that all proxies took what is tried; then the other half is to blame.
func (t *trial) taken() { t.segments = append(t.segments, t.rest) }

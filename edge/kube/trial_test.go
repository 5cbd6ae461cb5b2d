package kube

import (
	"slices"
	"strconv"
	"testing"
)

// try runs a trial of some changes against proxies that refuse some of them.
func try(names, guilty []string) (convicted []string, rounds int) {
	t := newTrial(names, accusation{})
	for {
		trying, sentenced := t.next()
		convicted = append(convicted, namesOf(sentenced)...)
		if len(trying) == 0 {
			slices.Sort(convicted)
			return convicted, t.rounds
		}
		if slices.ContainsFunc(trying, func(name string) bool { return slices.Contains(guilty, name) }) {
			t.refused(accusation{})
		} else {
			t.taken()
		}
	}
}

func namesOf(convicted []conviction) (names []string) {
	for _, c := range convicted {
		names = append(names, c.name)
	}
	return names
}

func TestTrial(t *testing.T) {
	for name, c := range map[string]struct {
		names, guilty []string
		rounds        int
	}{
		"One":    {[]string{"a"}, []string{"a"}, 0},
		"First":  {[]string{"a", "b", "c", "d"}, []string{"a"}, 4},
		"Last":   {[]string{"a", "b", "c", "d"}, []string{"d"}, 2},
		"Two":    {[]string{"a", "b", "c", "d"}, []string{"a", "d"}, 5},
		"All":    {[]string{"a", "b", "c"}, []string{"a", "b", "c"}, 4},
		"Eighth": {[]string{"a", "b", "c", "d", "e", "f", "g", "h"}, []string{"e"}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			got, rounds := try(c.names, c.guilty)
			if !slices.Equal(got, c.guilty) || rounds != c.rounds {
				t.Errorf("convicted %q after %d rounds, want %q after %d", got, rounds, c.guilty, c.rounds)
			}
		})
	}
}

func TestTrialEnds(t *testing.T) {
	var names []string
	for i := range 100 {
		names = append(names, strconv.Itoa(i))
	}
	convicted, rounds := try(names, names)
	if rounds != maxRounds || len(convicted) != len(names) {
		t.Errorf("after %d rounds %d are convicted", rounds, len(convicted))
	}
}

// A change that is replaced takes no blame, and leaves none.
func TestTrialWithoutOneThatWasReplaced(t *testing.T) {
	tr := newTrial([]string{"a", "b"}, accusation{})
	tr.next()
	tr.drop("a")
	tr.add("c")
	tr.taken() // nothing was tried, and so nothing is known of b
	if trying, convicted := tr.next(); len(convicted) > 0 || !slices.Equal(trying, []string{"b"}) {
		t.Errorf("tries %q, convicted %v", trying, convicted)
	}
	tr.refused(accusation{})
	if trying, convicted := tr.next(); !slices.Equal(namesOf(convicted), []string{"b"}) || !slices.Equal(trying, []string{"c"}) {
		t.Errorf("tries %q, convicted %v", trying, convicted)
	}
}

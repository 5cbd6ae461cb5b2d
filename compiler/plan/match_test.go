package plan_test

import (
	"slices"
	"testing"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// TestMatchOrder: sorting any order gives this one.
func TestMatchOrder(t *testing.T) {
	path := func(kind plan.PathKind, value string) *plan.PathMatch {
		return &plan.PathMatch{Kind: kind, Value: value}
	}
	header := []plan.ValueMatch{{Name: "a", Value: "1"}}
	want := []plan.Match{
		{Path: path(plan.PathExact, "/aaa")},
		{Path: path(plan.PathExact, "/a"), Method: "GET"},
		{Path: path(plan.PathExact, "/a"), Headers: header},
		{Path: path(plan.PathExact, "/a")},
		{Path: path(plan.PathRegex, "/.*")},
		{Path: path(plan.PathPrefix, "/aaa")},
		{Path: path(plan.PathPrefix, "/a"), Headers: header, Query: header},
		{Path: path(plan.PathPrefix, "/a"), Headers: header},
		{Path: path(plan.PathPrefix, "/a"), Query: header},
		{Path: path(plan.PathPrefix, "/a")},
		{Method: "GET"},
		{Headers: header},
		{},
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortStableFunc(got, func(a, b plan.Match) int { return a.Compare(&b) })
	for i := range want {
		if got[i].String() != want[i].String() {
			t.Errorf("place %d: got %s, want %s", i, &got[i], &want[i])
		}
	}
}

package plan_test

import (
	"slices"
	"testing"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

func TestIntersect(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"*", "shop.example.com", "shop.example.com"},
		{"*.example.com", "shop.example.com", "shop.example.com"},
		{"*.example.com", "a.shop.example.com", "a.shop.example.com"},
		{"*.example.com", "*.shop.example.com", "*.shop.example.com"},
		{"*.example.com", "example.com", ""},
		{"*.example.com", "shopexample.com", ""},
		{"*.a.example.com", "*.b.example.com", ""},
		{"shop.example.com", "shop.example.com", "shop.example.com"},
		{"shop.example.com", "bank.example.com", ""},
	} {
		if got := plan.Intersect(c.a, c.b); got != c.want {
			t.Errorf("Intersect(%q, %q) = %q, want %q", c.a, c.b, got, c.want)
		}
		if got := plan.Intersect(c.b, c.a); got != c.want {
			t.Errorf("Intersect(%q, %q) = %q, want %q", c.b, c.a, got, c.want)
		}
	}
}

// TestCovering: the list of patterns holds exactly those that cover.
func TestCovering(t *testing.T) {
	names := []string{"*.com", "*.example.com", "example.com", "*.shop.example.com", "shop.example.com", "a.shop.example.com", "*.bank.example.com"}
	for _, name := range names {
		for _, pattern := range names {
			listed := slices.Contains(plan.Covering(name), pattern)
			if covers := plan.Covers(pattern, name); listed != covers {
				t.Errorf("Covering(%q) lists %q: %v; Covers: %v", name, pattern, listed, covers)
			}
		}
	}
}

func TestAddress(t *testing.T) {
	if got := plan.Address("reviews.shop.mesh", 0).String(); got != "243.99.86.223" {
		t.Errorf("the address of a host never changes: got %s", got)
	}
	seen := make(map[string]bool)
	for attempt := range 1000 {
		address := plan.Address("reviews.shop.mesh", attempt)
		seen[address.String()] = true
		if b := address.As4(); b[0] < 240 || b == [4]byte{255, 255, 255, 255} {
			t.Errorf("attempt %d: %s lies outside of 240.0.0.0/4", attempt, address)
		}
	}
	if len(seen) < 990 {
		t.Errorf("%d addresses in 1000 attempts", len(seen))
	}
}

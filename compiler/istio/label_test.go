package istio

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestNamesAreLabels(t *testing.T) {
	seen := make(map[string]string)
	for _, name := range []string{"reviews-v1", "reviews-1.0", "reviews-1-0", "reviews-V1", "reviews-", "-reviews", "a_b", strings.Repeat("x", 70), strings.Repeat("x", 71), "日本"} {
		label := subsetName(name)
		if bad := validation.IsDNS1123Label(strings.TrimPrefix(label, "-")); len(bad) > 0 {
			t.Errorf("subsetName(%q) = %q: %v", name, label, bad)
		}
		if other, twice := seen[label]; twice {
			t.Errorf("%q and %q have one name, %q", name, other, label)
		}
		seen[label] = name
	}
	if got := subsetName("reviews-v1"); got != "reviews-v1" {
		t.Errorf("a good name stays: got %q", got)
	}
}

func TestGatewayNamesAreUnique(t *testing.T) {
	seen := make(map[string]string)
	for _, pair := range [][2]string{{"a", "b"}, {"a-b", "c"}, {"a", "b-c"}, {"a", "b.c"}, {"a", "B"}, {"public", "http"}, {strings.Repeat("g", 63), "http"}} {
		label := gatewayName(pair[0], pair[1])
		if bad := validation.IsDNS1123Label(label); len(bad) > 0 {
			t.Errorf("gatewayName(%q, %q) = %q: %v", pair[0], pair[1], label, bad)
		}
		if other, twice := seen[label]; twice {
			t.Errorf("%v and %s have one name, %q", pair, other, label)
		}
		seen[label] = pair[0] + "/" + pair[1]
	}
}

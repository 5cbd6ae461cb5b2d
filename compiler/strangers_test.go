package compiler_test

import (
	"math/rand"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/randfill"

	"github.com/isthmus-mesh/isthmus/compiler"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// TestStrangers fills objects of every kind with anything their Go types can hold, names that meet
// now and then, and puts them all in. Whatever a schema would have refused must still not stop the
// compiler.
func TestStrangers(t *testing.T) {
	start := rand.Int63()
	for n := range int64(40) {
		runStrangers(t, start+n)
	}
}

func runStrangers(t *testing.T, seed int64) {
	defer func() {
		if failure := recover(); failure != nil {
			t.Fatalf("seed %d: %v", seed, failure)
		}
	}()
	random := rand.New(rand.NewSource(seed))
	fill := randfill.New().RandSource(rand.NewSource(seed)).NilChance(0.3).NumElements(0, 3).MaxDepth(12).Funcs(
		func(s *string, c randfill.Continue) {
			*s = []string{"shop", "web", "dc1", "*", "/a", "(", "1s", ""}[c.Intn(8)]
		},
		func(spec *runtime.RawExtension, c randfill.Continue) {
			spec.Raw = []byte([]string{"", "{", "7", "{}", `{"hosts": ["web"], "http": [{"route": [{"destination": {"host": "web.shop"}}]}]}`,
				`{"hosts": ["*", ""], "http": [{}], "tcp": [{"route": [{}]}]}`, `{"host": "web"}`, `{"rules": [{}]}`, `{"http": [null]}`}[c.Intn(9)])
		},
		func(tm *metav1.Time, c randfill.Continue) {},
	)
	w := newWorld(t)
	for range 30 {
		for kind, make := range newObject {
			if kind == "DiscoveredService" {
				continue
			}
			object := make()
			fill.Fill(object)
			object.SetNamespace([]string{"", "shop"}[random.Intn(2)])
			object.SetName([]string{"shop", "web", "dc1"}[random.Intn(3)])
			c := compiler.Change{Kind: kind, Namespace: object.GetNamespace(), Name: object.GetName(), Object: object}
			w.take([]compiler.Change{c, {Kind: compiler.KindDiscovered, Namespace: "shop", Name: "web", Object: strange(random)}})
		}
	}
	if slices.ContainsFunc(w.compiler.Zone("dc1"), func(r *feedpb.Resource) bool { return r.Version == "" }) {
		t.Errorf("seed %d: a resource without version", seed)
	}
}

func strange(random *rand.Rand) *compiler.Discovered {
	d := &compiler.Discovered{Workspace: "shop", Name: "web", Versions: []string{"v1", "1.0", ""}}
	for range random.Intn(4) {
		d.Ports = append(d.Ports, compiler.DiscoveredPort{Port: int32(random.Intn(3) - 1), Protocol: []string{"http", "tcp", "tls", ""}[random.Intn(4)]})
	}
	return d
}

package compiler_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/isthmus-mesh/isthmus/compiler"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

var (
	seed      = flag.Uint64("seed", 0, "repeat the history of this seed only")
	histories = flag.Int("histories", 60, "random histories to try")
)

// TestHistories applies random changes in random batches and compares what an incremental compiler
// has then with what a new one makes of the same objects. The objects are those of all archives,
// in all their variants, so that whatever has an archive takes part.
func TestHistories(t *testing.T) {
	universe := readUniverse(t)
	if *seed != 0 {
		runHistory(t, universe, *seed)
		return
	}
	for i := range *histories {
		if runHistory(t, universe, rand.Uint64()|1); t.Failed() {
			t.Fatalf("history %d failed", i)
		}
	}
}

// readUniverse groups the objects of all archives by name: each has several variants.
func readUniverse(t *testing.T) map[string][]compiler.Change {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]compiler.Change)
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if strings.HasPrefix(f.Name, "want/") || !strings.HasSuffix(f.Name, ".yaml") {
				continue
			}
			for _, c := range objects(t, f.Name, f.Data) {
				name := changeName(c)
				all[name] = append(all[name], c)
			}
		}
	}
	return all
}

func changeName(c compiler.Change) string { return c.Kind + "/" + c.Namespace + "/" + c.Name }

// history is one random run.
type history struct {
	t       *testing.T
	random  *rand.Rand
	names   []string
	objects map[string][]compiler.Change
	// present are the objects that exist now.
	present map[string]compiler.Change
	world   *world
	// versions is what the deltas add up to, by zone and name.
	versions map[string]string
}

func runHistory(t *testing.T, universe map[string][]compiler.Change, seed uint64) {
	h := &history{
		t: t, random: rand.New(rand.NewPCG(seed, seed)),
		names: slices.Sorted(maps.Keys(universe)), objects: universe,
		present: make(map[string]compiler.Change), world: newWorld(t), versions: make(map[string]string),
	}
	// A part of the universe, so that references dangle and small worlds come up too.
	h.random.Shuffle(len(h.names), func(i, j int) { h.names[i], h.names[j] = h.names[j], h.names[i] })
	h.names = h.names[:len(h.names)/4+h.random.IntN(len(h.names)*3/4)]
	for step := range 12 {
		h.step()
		if h.check(); t.Failed() {
			t.Fatalf("after step %d; repeat: go test ./compiler -run Histories -seed %d", step, seed)
		}
	}
}

// step applies a batch: often a single change, sometimes many.
func (h *history) step() {
	size := 1 + h.random.IntN(3)
	if h.random.IntN(4) == 0 {
		size = 1 + h.random.IntN(len(h.names))
	}
	var batch []compiler.Change
	for range size {
		name := h.names[h.random.IntN(len(h.names))]
		variants := h.objects[name]
		c := variants[h.random.IntN(len(variants))]
		if _, is := h.present[name]; is && h.random.IntN(3) == 0 {
			c.Object = nil
			delete(h.present, name)
		} else {
			h.present[name] = c
		}
		batch = append(batch, c)
	}
	h.world.take(batch)
	for zone, delta := range h.world.last.Zones {
		for _, r := range delta.Upserts {
			h.versions[zone+" "+r.Name] = r.Version
		}
		for _, name := range delta.Removed {
			if _, had := h.versions[zone+" "+name]; !had {
				h.t.Errorf("removed from %s, which did not have it: %s", zone, name)
			}
			delete(h.versions, zone+" "+name)
		}
	}
}

// check compares with a compiler that gets everything at once, in another order.
func (h *history) check() {
	fresh := newWorld(h.t)
	all := slices.Collect(maps.Values(h.present))
	fresh.take(all)
	versions := make(map[string]string)
	for _, zone := range []string{"dc1", "dc2", "prod-1", "prod-2"} {
		want, got := fresh.compiler.Zone(zone), h.world.compiler.Zone(zone)
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			h.t.Errorf("zone %s (- at once, + step by step):\n%s", zone, diff)
		}
		for _, r := range got {
			versions[zone+" "+r.Name] = r.Version
		}
		if got := summed(fresh.last.Zones[zone]); !slices.Equal(got, resourceNames(want)) {
			h.t.Errorf("first delta of %s is not the zone: %v", zone, got)
		}
	}
	if diff := cmp.Diff(versions, h.versions); diff != "" {
		h.t.Errorf("deltas (- zone, + sum of deltas):\n%s", diff)
	}
	for _, want := range fresh.statuses {
		if got, is := h.world.compiler.Status(want.Kind, want.Namespace, want.Name); !is || !cmp.Equal(got, want) {
			h.t.Errorf("Status(%s): %v %s", statusName(want), is, cmp.Diff(want, got))
		}
	}
	if diff := cmp.Diff(fresh.statuses, existing(h)); diff != "" {
		h.t.Errorf("statuses (- at once, + step by step):\n%s", diff)
	}
}

// existing are the statuses of objects that exist: a deleted one tells no more.
func existing(h *history) map[string]compiler.ObjectStatus {
	all := maps.Clone(h.world.statuses)
	maps.DeleteFunc(all, func(name string, _ compiler.ObjectStatus) bool { _, is := h.present[name]; return !is })
	return all
}

func summed(delta *compiler.ZoneDelta) []string {
	if delta == nil {
		return nil
	}
	return resourceNames(delta.Upserts)
}

func resourceNames(all []*feedpb.Resource) []string {
	var names []string
	for _, r := range all {
		names = append(names, r.Name)
	}
	return names
}

// TestDeterminism compiles the universe twice and compares the bytes.
func TestDeterminism(t *testing.T) {
	universe := readUniverse(t)
	var first string
	for range 5 {
		w := newWorld(t)
		var all []compiler.Change
		for _, variants := range universe {
			all = append(all, variants[0])
		}
		w.take(all)
		text := fmt.Sprint(w.compiler.Zone("dc1"), w.compiler.Zone("dc2"), w.compiler.Zone("prod-1"), w.compiler.Zone("prod-2"), string(w.renderStatuses()))
		text = strings.ReplaceAll(text, "  ", " ") // protobuf's text form varies in blanks on purpose
		if first == "" {
			first = text
		} else if text != first {
			t.Fatal(cmp.Diff(first, text))
		}
	}
}
